"""Outputs that are closed or full: exit code 0 or 2, at most one line, never a traceback."""

import subprocess
import sys

import pytest

COMMAND = f"{sys.executable} -m uvlp list"


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ("protocols >/dev/full", 2, "No space left on device"),
        ("protocols >&-", 2, "standard output is closed"),
        ("protocols 2>&-", 0, ""),
        ("protocols 2>/dev/full", 0, ""),
        ("nothing 2>/dev/full", 2, ""),
        ("protocols <&- >&- 2>&-", 2, ""),
    ],
)
def test_outputs_that_take_nothing(words: str, code: int, line: str) -> None:
    ran = subprocess.run(["bash", "-c", f"{COMMAND} {words}"], capture_output=True, encoding="utf-8")
    assert ran.returncode == code
    assert line in ran.stderr
    assert ran.stderr.count("\n") == bool(line)
    assert ("minimax" in ran.stdout) == (code == 0)
