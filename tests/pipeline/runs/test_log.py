"""The log of a command: complete, its own, found again, and never the reason that a run fails."""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from uvlp.artifacts.checks import store_mark
from uvlp.core.display import log as logs_of_commands, messages
from uvlp.core.display.log import kept
from uvlp.core.files.leases.host import this_process
from uvlp.pipeline.runs import files, log
from uvlp.pipeline.runs.journal import command_line


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store_mark.write(tmp_path)
    return tmp_path


def logs(root: Path) -> list[Path]:
    return sorted((root / files.FOLDER).glob("*.log"))


def test_it_has_what_was_reported_before_and_after_the_first_work(root: Path) -> None:
    with messages.printed(messages.QUIET), kept() as made:
        messages.note("before")
        assert made.path is None and not logs(root)
        log.begin(root)
        messages.record("error", "Traceback:\n  line 1\n")
        log.begin(root)
        messages.note("a name\u2028with a separator")
    (path,) = logs(root)
    assert path == made.path and files.NAME.fullmatch(path.stem) and not files.names(root)
    text = path.read_text(encoding="utf-8")
    heading, _, rest = text.partition("Z note   before\n")
    names = [line.partition(": ")[0] for line in heading.split("\n")[:-1]]
    assert names == ["command", "folder", "versions", "commit", "machine", "process"]
    assert f"command: {command_line()}\n" in heading and "uvlp " in heading and os.uname().nodename in heading
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    wanted = f"{moment} error  Traceback:\n      line 1\n{moment} note   a name\u2028with a separator\n"
    assert re.fullmatch(f"{wanted}ended after 1 s\n", rest)


def test_nothing_is_written_without_work_or_a_store(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("no store")
    with kept():
        messages.record("note", "read")
        log.begin(elsewhere)
    log.begin(root)
    assert not logs(root) and not list(elsewhere.iterdir())


def test_two_commands_have_files_of_their_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["20260101-000000-0000", "20260101-000000-0000", "20260101-000000-0001"])
    monkeypatch.setattr(files, "new_name", lambda: next(names))
    with kept():
        log.begin(root)
        with kept():
            log.begin(root)
            messages.record("note", "of two")
    one, two = (path.read_text(encoding="utf-8") for path in logs(root))
    assert "of two" in two and "of two" not in one


def test_it_is_found_by_the_process_of_the_run(root: Path) -> None:
    with kept() as made:
        log.begin(root)
    here = this_process()
    assert log.find(root, here, time.time()) == made.path
    assert log.find(root, here, time.time() - 60) is None, "a later command of a process with its number"
    assert log.find(root, replace(here, pid=1), time.time()) is None
    assert log.find(root / "none", here, time.time()) is None


@pytest.mark.parametrize("when", ["open", "write"])
def test_a_log_that_cannot_be_written_is_reported_once(
    root: Path, when: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if when == "open":
        (root / files.FOLDER).write_text("a file")
    else:
        full = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w", encoding="utf-8")
        monkeypatch.setattr(logs_of_commands, "_new_file", lambda folder, _: (full, folder / "x.log"))
    with kept():
        log.begin(root)
        messages.record("note", "one")
        messages.record("note", "two")
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and errors.startswith("note   the log of this run cannot be written: ")
    assert os.strerror(errno.ENOSPC if when == "write" else errno.EEXIST) in errors


def test_a_log_does_not_grow_without_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_of_commands, "LARGEST_BYTES", 5000)
    with kept() as made:
        log.begin(root)
        for number in range(1000):
            messages.record("note", f"line {number}")
    assert made.path is not None
    text = made.path.read_text(encoding="utf-8")
    assert len(text) < 6000 and text.endswith("the log ends here, at 5.0 kB\n")


def test_old_logs_are_deleted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "KEPT", 2)
    monkeypatch.setattr(log, "MOST", 4)
    folder = root / files.FOLDER
    folder.mkdir()
    for number in range(6):
        path = folder / f"20260101-00000{number}-0000.log"
        path.touch()
        if number == 3:
            os.utime(path, (0, 0))
    (folder / "notes.log").touch()
    log.prune(root)
    assert [path.name[14] for path in logs(root)[:-1]] == ["2", "4", "5"]
