"""Output to a program that ends early (`head`, a pager): exit code 141, nothing on standard error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ("reproduce", "digits", "1", "--profile", "nano", "--method", "random", "--workers", "2")


def to_nobody(*words: str, closed: str) -> subprocess.CompletedProcess[bytes]:
    """The command with its standard output, or error, or both, in a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"out": subprocess.PIPE, "err": subprocess.PIPE} | dict.fromkeys(closed.split(), writing)
    call = [sys.executable, "-m", "uvlp", *words]
    try:
        return subprocess.run(call, stdout=streams["out"], stderr=streams["err"], check=False, timeout=300)
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        (("list", "networks"), "out"),
        (("list", "networks"), "out err"),
        (("--help",), "out"),
        (("reproduce", "digits", "10", "--print-config"), "out"),
    ],
)
def test_a_result_that_nobody_reads(words: tuple[str, ...], closed: str) -> None:
    done = to_nobody(*words, closed=closed)
    assert done.returncode == 141
    assert not done.stderr


def test_an_error_that_nobody_reads_keeps_its_exit_code() -> None:
    assert to_nobody("list", "nothing", closed="err").returncode == 2


def left_behind(mark: str) -> list[int]:
    """Processes whose environment holds the mark."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def test_a_run_whose_progress_nobody_reads_stops_with_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = f"UVLP_TEST_MARK={tmp_path}"
    monkeypatch.setenv(*mark.split("="))
    done = to_nobody(*SMALL, "--store", str(tmp_path / "store"), closed="err")
    assert (done.returncode, done.stdout) == (141, b"")
    assert not left_behind(mark)
