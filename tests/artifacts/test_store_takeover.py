"""A store of several processes and hosts: the first to finish an artifact wins, whoever holds its lease."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.runs import shared_store
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, Task
from uvlp.artifacts.work import Work
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files.leases import lease
from uvlp.core.files.leases.host import this_process
from uvlp.core.progress import Event, Progress
from uvlp.pipeline.making import execute

TASK = Task(kind="captions", stage="caption", title="captions")
NAME = f"captions-{TASK.key}"
MAKER = """
import fcntl, sys, time
from pathlib import Path
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.files.leases import lease

lease.BEAT_S, lease.STALE_S, lease.POLL_S = 0.1, 1.0, 0.05
store, task = Store(Path(sys.argv[1])), Task(kind="captions", stage="caption", title="captions")
with store.making(task, lambda text: print(text, flush=True)) as folder:
    if folder is not None:
        (folder / "who").write_text(sys.argv[2])
        print("begun", flush=True)
        while not Path(sys.argv[3]).exists():
            time.sleep(0.02)
        print("published", store.commit(task, folder, {}), flush=True)
print("end", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def publish(store: Store, text: str, task: Task = TASK) -> bool:
    """Make the artifact without a lease, as a process that lost it does."""
    folder = store.root / ".tmp" / f"{NAME}.{'a' * 16}"
    folder.mkdir()
    (folder / "who").write_text(text, encoding="utf-8")
    return store.commit(task, folder, {})


def who(store: Store, task: Task = TASK) -> str:
    return (store.folder(task) / "who").read_text(encoding="utf-8")


def of_another_host(store: Store, token: str) -> Path:
    """Write a lease that a process of another host holds."""
    process = replace(this_process(), host="elsewhere", boot="other")
    fields = {name: getattr(process, name) for name in ("host", "boot", "namespace", "pid", "started")}
    path = store.root / ".locks" / f"{NAME}.lease"
    path.write_text(json.dumps({"token": token, **fields}) + "\n", encoding="utf-8")
    return path


def test_first_to_finish_wins_and_nothing_is_replaced(store: Store) -> None:
    assert publish(store, "first")
    before = (store.folder(TASK) / MANIFEST).read_bytes()
    assert not publish(store, "second")
    assert who(store) == "first" and (store.folder(TASK) / MANIFEST).read_bytes() == before


def test_error_of_work_that_another_process_finished_is_dropped(store: Store) -> None:
    with store.making(TASK, print) as folder:
        assert folder is not None and publish(store, "other")
        shutil.rmtree(folder)  # as the sweep of the other process does
        (folder / "file").write_text("x", encoding="utf-8")
    assert who(store) == "other"


def test_foreign_files_are_set_aside_and_a_finished_artifact_is_not(store: Store) -> None:
    store.folder(TASK).mkdir(parents=True)
    (store.folder(TASK) / "mine").write_text("x", encoding="utf-8")
    with store.making(TASK, print) as folder:
        assert folder is not None
        store.commit(TASK, folder, {})
    assert len(list((store.root / "set_aside").glob("*/mine"))) == 1 and store.has(TASK)


def test_folders_of_another_host_are_swept_only_without_its_lease(store: Store) -> None:
    folder = store.root / ".tmp" / f"{NAME}.{'b' * 16}"
    folder.mkdir()
    path = of_another_host(store, "b" * 16)
    store.sweep()
    assert folder.is_dir()
    of_another_host(store, "c" * 16)  # taken over
    store.sweep()
    assert not folder.exists()
    folder.mkdir()
    path.unlink()
    store.sweep()
    assert not folder.exists()


def test_folder_is_never_deleted_while_it_can_be_published(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A maker that was stopped and continues just then must not publish what is half deleted."""
    folder = store.root / ".tmp" / f"{NAME}.{'b' * 16}"
    folder.mkdir()
    (folder / "file").write_text("x", encoding="utf-8")
    delete, deleted = shutil.rmtree, []

    def publish_meanwhile(path: Path, *, ignore_errors: bool) -> None:
        deleted.append(path)
        with pytest.raises(FileNotFoundError):
            os.rename(folder, store.folder(TASK))
        delete(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", publish_meanwhile)
    store.sweep()
    assert len(deleted) == 1 and not deleted[0].exists() and not store.folder(TASK).exists()


def test_leases_that_were_taken_away_are_swept(store: Store) -> None:
    locks = store.root / ".locks"
    for name in (f"{NAME}.lease.{'a' * 16}", f"{NAME}.lease", "mine"):
        (locks / name).touch()
    store.sweep()
    assert sorted(path.name for path in locks.iterdir()) == [f"{NAME}.lease", "mine"]


def test_damaged_lease_is_named_while_it_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "STALE_S", 0.3)
    monkeypatch.setattr(lease, "POLL_S", 0.05)
    path = store.root / ".locks" / f"{NAME}.lease"
    path.write_bytes(b"\xff" * 50)
    lines: list[str] = []
    with store.making(TASK, lines.append) as folder:
        assert folder is not None
    assert len(lines) == 1 and str(path) in lines[0] and "damaged" in lines[0]


def test_file_system_that_cannot_rename_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(UvlpError) as caught:
        Store(tmp_path / "store").prepare()
    assert "rename" in caught.value.what and str(tmp_path / "store") in str(caught.value.got)
    assert list((tmp_path / "store").iterdir()) == []


def test_flock_is_not_called(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("flock is called")

    for name in ("flock", "lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, refuse)
    with store.making(TASK, print) as folder:
        assert folder is not None
        store.commit(TASK, folder, {})
    store.sweep()


def test_work_done_twice_is_counted_and_reported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stage:
        @staticmethod
        def run(work: Work) -> None:
            assert publish(store, "other", task)

    task = replace(TASK, stage="tabulate")  # no torch
    events: list[Event] = []
    monkeypatch.setattr(plugins, "load", lambda *_: Stage)
    execute.execute(store.root, task, Progress(events.append))
    assert [bool(event.message) for event in events if event.twice_s > 0] == [True]
    assert who(store, task) == "other"


@contextlib.contextmanager
def maker(store: Store, name: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    program = [*prefix, sys.executable, "-c", MAKER, str(store.root), name, str(store.root / "go")]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, encoding="utf-8", start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_holder_that_was_stopped_past_its_lease(store: Store, apart: bool) -> None:
    """It finishes after the process that took over: one is published, nothing is lost."""
    prefix = shared_store.namespaces() if apart else ()
    if apart and not prefix:
        pytest.skip("no process may create namespaces here")
    with maker(store, "first", prefix) as first:
        assert line(first) == "begun"
        os.killpg(first.pid, signal.SIGSTOP)
        with maker(store, "second") as second:
            assert "waiting: another uvlp process is making captions/" in line(second)
            assert line(second) == "begun"
            (store.root / "go").touch()
            assert [line(second), line(second)] == ["published True", "end"]
        os.killpg(first.pid, signal.SIGCONT)
        assert [line(first), line(first)] == ["published False", "end"]
    assert who(store) == "second"
    assert list((store.root / ".tmp").iterdir()) == list((store.root / ".locks").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_killed_holder_costs_a_wait_only_from_another_namespace(store: Store, apart: bool) -> None:
    prefix = shared_store.namespaces() if apart else ()
    if apart and not prefix:
        pytest.skip("no process may create namespaces here")
    with maker(store, "first", prefix) as first:
        assert line(first) == "begun"
    (store.root / "go").touch()
    with maker(store, "second") as second:
        waited = [line(second)] if apart else []
        assert [line(second), line(second), line(second)] == ["begun", "published True", "end"]
    assert all("waiting: " in each for each in waited)
    store.sweep()
    assert list((store.root / ".tmp").iterdir()) == []


@pytest.mark.slow
def test_processes_that_are_stopped_and_killed_lose_nothing(tmp_path: Path) -> None:
    outcome = shared_store.run(tmp_path, seconds=8, processes=4, seed=time.time_ns())
    assert (outcome.lost, outcome.published_twice, outcome.failures, outcome.leftovers) == (0, 0, 0, 0)
    assert outcome.artifacts and outcome.kills and outcome.stops
