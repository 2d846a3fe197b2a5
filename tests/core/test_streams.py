"""Closed or full outputs: exit code 0 or 2, at most one line, never a traceback."""

import subprocess
import sys

import pytest

COMMAND = f"{sys.executable} -m uvlp list"


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ("protocols >/dev/full", 2, "No space left on device"),
        ("protocols >&-", 2, "standard output is closed"),
        ("protocols 2>&-", 0, ""),
        ("protocols 2>/dev/full", 0, ""),
        ("nothing 2>/dev/full", 2, ""),
        ("protocols <&- >&- 2>&-", 2, ""),
    ],
)
def test_closed_or_full_outputs(arguments: str, code: int, line: str) -> None:
    done = subprocess.run(["bash", "-c", f"{COMMAND} {arguments}"], capture_output=True, encoding="utf-8")
    assert done.returncode == code
    assert line in done.stderr
    assert done.stderr.count("\n") == bool(line)
    assert ("minimax" in done.stdout) == (code == 0)
