"""Output to a program that ends early (`head`, a pager): exit code 141, nothing on standard error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ("reproduce", "digits", "1", "--profile", "nano", "--method", "random", "--workers", "2")


def with_closed_pipe(*arguments: str, closed: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command with standard output, error or both in a pipe without a reader."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"out": subprocess.PIPE, "err": subprocess.PIPE} | dict.fromkeys(closed.split(), writing)
    call = [sys.executable, "-m", "uvlp", *arguments]
    try:
        return subprocess.run(call, stdout=streams["out"], stderr=streams["err"], check=False, timeout=300)
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [
        (("list", "networks"), "out"),
        (("list", "networks"), "out err"),
        (("--help",), "out"),
        (("reproduce", "digits", "10", "--print-config"), "out"),
    ],
)
def test_result_into_a_closed_pipe(arguments: tuple[str, ...], closed: str) -> None:
    done = with_closed_pipe(*arguments, closed=closed)
    assert done.returncode == 141
    assert not done.stderr


def test_error_into_a_closed_pipe_keeps_its_exit_code() -> None:
    assert with_closed_pipe("list", "nothing", closed="err").returncode == 2


def left_behind(mark: str) -> list[int]:
    """Return the processes whose environment contains the mark."""
    processes = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    processes.append(int(folder.name))
            except OSError:
                continue
    return processes


def test_closed_progress_pipe_stops_the_run_and_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = f"UVLP_TEST_MARK={tmp_path}"
    monkeypatch.setenv(*mark.split("="))
    done = with_closed_pipe(*SMALL, "--store", str(tmp_path / "store"), closed="err")
    assert (done.returncode, done.stdout) == (141, b"")
    assert not left_behind(mark)
