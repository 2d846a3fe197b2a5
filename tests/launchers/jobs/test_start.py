"""The process that a job starts on its node: how it is reported if it cannot do so itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from uvlp.launchers.jobs import outcome
from uvlp.launchers.jobs.on_node import requeue, start
from uvlp.launchers.jobs.on_node.start import OnNode

SIGNALLED = "import os, signal; os.kill(os.getpid(), signal.{})"


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (SIGNALLED.format("SIGKILL"), outcome.DEFECT, "SIGKILL; out of memory"),
        (SIGNALLED.format("SIGSEGV"), outcome.DEFECT, "ended by signal 11"),
        (SIGNALLED.format("SIGTERM"), outcome.STOPPED, "SIGTERM"),
        ("raise SystemExit(130)", outcome.STOPPED, "SIGTERM"),
    ],
)
def test_a_process_that_leaves_no_report(
    code: str, state: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "python"
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}'\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command))
    monkeypatch.setattr(start, "SIGNAL_S", 0.0)
    with pytest.raises(SystemExit):
        OnNode(tmp_path, "order.json", "n")()
    found = outcome.read(tmp_path, "n")
    assert found is not None and found.state == state and words in found.what


def test_an_error_that_was_read_and_deleted_is_not_reported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command has submitted the job once more, under the same name."""
    command = tmp_path / "python"
    command.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command))
    with pytest.raises(SystemExit):
        OnNode(tmp_path, "order.json", "n")()
    assert outcome.read(tmp_path, "n") is None


def test_a_warning_leaves_a_count_instead_of_a_report(tmp_path: Path) -> None:
    job = OnNode(tmp_path, "order.json", "n")
    outcome.write(tmp_path, "n", None)
    left = job.checkpoint()
    left.set_timeout(60, 2)
    left.dump(tmp_path / "n.left.json")
    assert outcome.read(tmp_path, "n") is None, "it is about to be queued again"
    assert (tmp_path / "n.left.json").read_text(encoding="utf-8") == '{"timeouts_left": 2}'


def test_the_timeouts_that_are_left(tmp_path: Path) -> None:
    file = tmp_path / "n.left.json"
    assert requeue._timeouts(tmp_path, "n", 3) == 3
    for text, count in (('{"timeouts_left": 1}', 1), ('{"timeouts_left": 9}', 3), ("{", 3), ("[]", 3)):
        file.write_text(text, encoding="utf-8")
        assert requeue._timeouts(tmp_path, "n", 3) == count
