"""The start of worker processes: signals, the environment, scripts without a guard."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.core.scheduling.test_workers import Cards, Job, Recorder, _touch, run
from uvlp.core.errors import Stopped
from uvlp.core.progress import Progress
from uvlp.core.scheduling import worker


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Make SIGINT raise KeyboardInterrupt even if the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_signal_during_worker_start_is_deferred(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the worker would print a traceback."""
    start = subprocess.Popen
    started: list[subprocess.Popen[bytes]] = []

    def elsewhere() -> None:  # like a thread of a library, which ignores the mask
        signal.pthread_sigmask(signal.SIG_UNBLOCK, worker.SIGNALS)
        signal.raise_signal(signal.SIGINT)

    def interrupted(*arguments: Any, **keywords: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **keywords))
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([Job("a")], partial(_touch, tmp_path), Recorder())
    assert started[0].wait(timeout=60) == 1
    assert capfd.readouterr().err == ""


def _record_blocked_signals(folder: Path, job: Job, progress: Progress, _: Cards) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    (folder / job.key).write_text(" ".join(sorted(signal.Signals(each).name for each in blocked)))


class _Interrupting(Recorder):
    """Unpickled while a worker is still importing, and sends it a signal then."""

    def __call__(self, job: Job, progress: Progress, _: Cards) -> None:
        raise AssertionError("the worker has exited before")

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ = state
        os.kill(os.getpid(), signal.SIGINT)


def test_signal_in_a_starting_worker_prints_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped):
        run([Job("stopped")], _Interrupting(), Recorder())
    assert capfd.readouterr().err == ""


def test_started_worker_blocks_no_signals(tmp_path: Path) -> None:
    run([Job("a")], partial(_record_blocked_signals, tmp_path), Recorder())
    assert (tmp_path / "a").read_text() == ""
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(worker.SIGNALS)


@pytest.mark.parametrize("sent", [b"", b"\x80\x04\x95\x00\x01"], ids=["nothing", "a part"])
def test_worker_without_start_up_data_exits_without_traceback(sent: bytes) -> None:
    near, far = multiprocessing.Pipe()
    os.write(near.fileno(), sent)
    near.close()
    completed = subprocess.run(
        worker.command(sys.executable, far.fileno()),
        pass_fds=[far.fileno()],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (1, b"")


def test_killed_main_process_leaves_no_traceback_of_a_starting_worker() -> None:
    program = """
import os, signal, subprocess
from uvlp.core.scheduling import worker, workers
class Killed(subprocess.Popen):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)
subprocess.Popen = Killed
workers._start(print, {})
"""
    completed = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False)
    assert (completed.returncode, completed.stderr) == (-signal.SIGKILL, b"")


SCRIPT = """
import sys, threading
from functools import partial
from tests.core.scheduling.test_worker_start import Job, Path, Recorder, _touch, run

def work():
    run([Job("a"), Job("b")], partial(_touch, Path(sys.argv[1])), Recorder())

if sys.argv[2] == "thread":
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
else:
    work()
"""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_script_needs_no_guard_and_may_work_in_a_thread(tmp_path: Path, where: str) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT, encoding="utf-8")
    out.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(script), str(out), where]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0 and ran.stderr == "", ran.stderr
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def _record_environment(folder: Path, job: Job, progress: Progress, _: Cards) -> None:
    found = [os.environ.get("PYTHONPATH"), sys.flags.utf8_mode]
    (folder / job.key).write_text(json.dumps(found), encoding="utf-8")


def test_the_environment_of_this_process_and_of_what_a_worker_starts_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    before = dict(os.environ)
    run([Job("a")], partial(_record_environment, tmp_path), Recorder())
    assert json.loads((tmp_path / "a").read_text(encoding="utf-8")) == ["mine", 1]
    assert dict(os.environ) == before
