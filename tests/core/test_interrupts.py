"""Ctrl-C: one line and exit code 130, even if a library would swallow it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

LINE = "uvlp: interrupted; finished artifacts are kept, re-run the command to resume\n"
SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10**6): pass
except BaseException:
    pass
"""
IMPORTS = "from uvlp.core import interrupts; interrupts.install_handlers(); import greedy; print('continued')"
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
interrupts.install_handlers()
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10**6): pass
finally:
    os.kill(os.getpid(), signal.SIGINT)
    while True: pass
"""


def python(code: str, *argv: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(folder)!r})\n" if folder else ""
    return subprocess.run(
        [sys.executable, "-c", path + code, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def interrupted(result: subprocess.CompletedProcess[str]) -> bool:
    return (result.returncode, result.stdout, result.stderr) == (130, "", LINE)


def test_library_cannot_swallow_an_interrupt_during_import(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(SWALLOWS)
    result = python(IMPORTS, folder=tmp_path)
    assert interrupted(result), result


@pytest.mark.parametrize("name", [signal.SIGINT.name, signal.SIGTERM.name])
def test_signal_outside_the_parser_prints_one_line(name: str) -> None:
    result = python(COMMAND, name)
    assert interrupted(result), result


def test_second_signal_does_not_wait_for_clean_up() -> None:
    result = python(CLEANS_UP)
    assert interrupted(result), result
