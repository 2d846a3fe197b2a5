"""The store: atomic, locked, verified."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store, explain_store_errors
from uvlp.artifacts.task import MANIFEST, Task, changed, plain
from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import DiffuserSettings, FinetuneSettings, SynthesisSettings


def task(**more: object) -> Task:
    values = {"kind": "weights", "stage": "finetune", "plugin": "diffuser", "settings": DiffuserSettings()}
    return Task(**(values | more))  # type: ignore[arg-type]


def make(store: Store, wanted: Task, text: str = "content") -> Path:
    store.prepare()
    with store.making(wanted, print) as folder:
        assert folder is not None
        (folder / "sub").mkdir()
        (folder / "sub" / "file.txt").write_text(text)
        store.commit(wanted, folder, {"seconds": 1.0})
    return store.folder(wanted)


def test_finished_artifact_has_a_manifest_with_hashes(tmp_path: Path) -> None:
    folder = make(Store(tmp_path), task())
    content = json.loads((folder / MANIFEST).read_text())
    assert list(content["files"]) == ["sub/file.txt"]
    assert content["settings"]["steps"] == DiffuserSettings().steps
    assert content["made"] == {"seconds": 1.0}


def test_exception_leaves_no_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    with pytest.raises(ZeroDivisionError), store.making(task(), print) as folder:
        assert folder is not None
        (folder / "half").write_text("x")
        raise ZeroDivisionError
    assert not store.has(task())
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    script = (
        "import os, signal, pathlib\n"
        "from uvlp.artifacts.store import Store\n"
        "from uvlp.artifacts.task import Task\n"
        f"store = Store(pathlib.Path({str(tmp_path)!r})); store.prepare()\n"
        "with store.making(Task(kind='weights', stage='finetune'), print) as folder:\n"
        "    (folder / 'half').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], check=False)
    assert result.returncode == -9
    assert len(list((tmp_path / ".tmp").iterdir())) == 1
    Store(tmp_path).prepare()
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_only_parts_of_finished_artifacts_are_removed(tmp_path: Path) -> None:
    store, finished, unfinished = Store(tmp_path), task(kind="weights"), task(kind="features")
    folder = make(store, finished)
    for each in (finished, unfinished):
        (store.partial(each) / "half").write_text("x")
    (tmp_path / "partial" / "mine").mkdir()
    store.prepare()
    left = {path.name for path in (tmp_path / "partial").iterdir()}
    assert left == {f"features-{unfinished.key}", "mine"} and (folder / MANIFEST).is_file()


def test_changed_missing_and_unreadable_files_are_damage(tmp_path: Path) -> None:
    store, wanted = Store(tmp_path), task(kind="logs")
    folder = make(store, wanted)
    assert store.damage(wanted) is None
    (folder / "sub" / "file.txt").write_text("changed")
    assert store.damage(wanted) == "sub/file.txt"
    (folder / "sub" / "file.txt").unlink()
    assert store.damage(wanted) == "sub/file.txt"
    (folder / MANIFEST).write_text("{")
    assert store.damage(wanted) == MANIFEST


def test_removed_artifact_can_be_rebuilt(tmp_path: Path) -> None:
    store, wanted = Store(tmp_path), task()
    make(store, wanted, "old")
    store.remove(wanted)
    assert not store.has(wanted)
    folder = make(store, wanted, "new")
    assert (folder / "sub" / "file.txt").read_text() == "new"


def _make_elsewhere(root: str) -> None:
    store = Store(Path(root))
    with store.making(task(), print) as folder:
        if folder is not None:
            (folder / "who").write_text(str(os.getpid()))
            store.commit(task(), folder, {})


def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    messages: list[str] = []
    context = multiprocessing.get_context("spawn")
    with store.making(task(), messages.append) as folder:
        assert folder is not None
        other = context.Process(target=_make_elsewhere, args=(str(tmp_path),))
        other.start()
        other.join(timeout=2)
        assert other.is_alive()
        (folder / "who").write_text("first")
        store.commit(task(), folder, {})
    other.join(timeout=20)
    assert other.exitcode == 0
    assert (store.folder(task()) / "who").read_text() == "first"


def test_unwritable_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UvlpError) as caught:
        Store(tmp_path / "file" / "below").prepare()
    assert caught.value.what.startswith("cannot write the store: ")


def test_full_disk_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught, explain_store_errors(tmp_path):
        raise OSError(errno.ENOSPC, "write failed", str(tmp_path / "x"))
    assert "No space left" in caught.value.what
    assert "\n" not in str(caught.value)


def test_error_outside_the_store_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), explain_store_errors(tmp_path):
        raise PermissionError(errno.EACCES, "denied", "/elsewhere/image.png")


def test_only_changed_settings_enter_the_key() -> None:
    assert changed(DiffuserSettings()) == {}
    assert changed(DiffuserSettings(steps=7)) == {"steps": 7}
    assert task().key != task(settings=DiffuserSettings(steps=7)).key


def test_settings_without_effect_on_results_are_not_in_the_key() -> None:
    settings = FinetuneSettings(checkpointing_steps=7, checkpoints_total_limit=1)
    assert changed(settings) == {} and plain(settings)["checkpointing_steps"] == 7
    assert changed(FinetuneSettings(validation_prompts=("a dog",))) == {"validation_prompts": ["a dog"]}


def test_everything_that_affects_results_is_in_the_key() -> None:
    base = task(facts={"seed": 0}, dataset="abc")
    others = [
        task(facts={"seed": 1}, dataset="abc"),
        task(facts={"seed": 0}, dataset="abd"),
        task(facts={"seed": 0}, dataset="abc", revision=2),
        task(facts={"seed": 0}, dataset="abc", schema=2),
        task(facts={"seed": 0}, dataset="abc", plugin="embedder"),
        task(facts={"seed": 0}, dataset="abc", inputs={"captions": task()}),
    ]
    assert len({base.key, *(other.key for other in others)}) == 7


def test_machine_facts_are_not_in_the_key() -> None:
    here, there = (DatasetSpec(name="folder", argument=path) for path in ("/x", "/y"))
    assert task(title="a", dataset_spec=here).key == task(title="b", dataset_spec=there).key


def test_settings_become_json() -> None:
    assert plain({"a": SynthesisSettings(), "b": (1, 2)})["b"] == [1, 2]
