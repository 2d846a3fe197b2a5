"""Inputs that are not visible: waited for on file systems of several hosts, an error on those of one."""

from pathlib import Path

import pytest

from uvlp.artifacts.checks import visible
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError

INPUT = Task(kind="captions", stage="caption", title="captions")
TASK = Task(kind="weights", stage="finetune", inputs={"captions": INPUT})


def publish(store: Store) -> None:
    with store.making(INPUT, print) as folder:
        assert folder is not None
        (folder / "file").write_text("x", encoding="utf-8")
        store.commit(INPUT, folder, {})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def mounted_as(kind: str, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = store.root.stat().st_dev
    number = f"{device >> 8 & 0xFFF}:{device & 0xFF | device >> 12 & 0xFFF00}"
    (tmp_path / "mounts").write_text(
        "22 27 999:21 / /proc rw,relatime - proc proc rw\n"
        f"36 35 {number} / /mnt rw,noatime shared:1 - {kind} server:/export rw\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(visible, "MOUNTS", tmp_path / "mounts")


def test_input_that_appears_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounted_as("nfs4", store, monkeypatch, tmp_path)
    lines: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            publish(store)

    visible.await_inputs(store, TASK, lines.append, lambda: 0.0, sleep)
    assert len(slept) == 3 and len(lines) == 1 and "nfs4" in lines[0]
    visible.await_inputs(store, TASK, lines.append, lambda: 0.0, sleep)
    assert len(slept) == 3


def test_input_that_never_appears_is_missing(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounted_as("nfs4", store, monkeypatch, tmp_path)
    slept: list[float] = []
    with pytest.raises(UvlpError) as caught:
        visible.await_inputs(store, TASK, print, lambda: sum(slept), slept.append)
    assert sum(slept) == visible.VISIBLE_S
    assert caught.value.got == str(store.folder(INPUT)) and INPUT.name in caught.value.what


def test_missing_input_of_a_local_file_system_costs_no_time(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounted_as("ext4", store, monkeypatch, tmp_path)
    with pytest.raises(UvlpError) as caught:
        visible.await_inputs(store, TASK, print, lambda: 0.0, lambda seconds: pytest.fail("it waits"))
    assert caught.value.got == str(store.folder(INPUT))
