"""Ctrl-C: one line and exit code 130, also where a library would have swallowed it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

LINE = "uvlp: stopped; finished artifacts are kept, re-run the command to resume\n"
SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10**6): pass
except BaseException:
    pass
"""
IMPORTS = "from uvlp.core import interrupts; interrupts.listen(); import greedy; print('went on')"
COMMAND = """
import os, signal, sys
from uvlp import __main__; from uvlp.cli import app as cli
from uvlp.core import interrupts
def call():
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    for _ in range(10**6): pass
cli._call = call
__main__.main()
"""
CLEANS_UP = """
import os, signal
from uvlp.core import interrupts
interrupts.listen()
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10**6): pass
finally:
    os.kill(os.getpid(), signal.SIGINT)
    while True: pass
"""


def python(code: str, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(folder)!r})\n" if folder else ""
    return subprocess.run(
        [sys.executable, "-c", path + code, *words], capture_output=True, text=True, check=False, timeout=60
    )


def stopped(result: subprocess.CompletedProcess[str]) -> bool:
    return (result.returncode, result.stdout, result.stderr) == (130, "", LINE)


def test_a_library_cannot_swallow_an_interrupt_of_its_import(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(SWALLOWS)
    result = python(IMPORTS, folder=tmp_path)
    assert stopped(result), result


@pytest.mark.parametrize("name", [signal.SIGINT.name, signal.SIGTERM.name])
def test_a_signal_outside_of_the_parser_is_one_line(name: str) -> None:
    result = python(COMMAND, name)
    assert stopped(result), result


def test_a_second_signal_does_not_wait_for_the_clean_up() -> None:
    result = python(CLEANS_UP)
    assert stopped(result), result
