"""Worker processes: order, errors, signals."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import spawn
from pathlib import Path

import pytest

from uvlp.core import workers
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.progress import Event, Progress


@dataclass(frozen=True)
class Job:
    key: str
    inputs: Mapping[str, "Job"] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"job {self.key}"


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, title: str) -> None:
        self.lines.append(f"begin {title}")

    def event(self, title: str, event: Event) -> None:
        self.lines.append(f"event {title} {event.message}")

    def end(self, title: str, seconds: float) -> None:
        self.lines.append(f"end {title}")

    def close(self) -> None:
        self.lines.append("close")


def _touch(folder: Path, job: Job, progress: Progress) -> None:
    for needed in job.inputs.values():
        assert (folder / needed.key).exists()
    progress.log("working")
    (folder / job.key).write_text(os.environ["UVLP_TEST_WORKER"])


def _fail(job: Job, progress: Progress) -> None:
    if job.key == "bad input":
        raise UvlpError("broken", got="x")
    if job.key == "full GPU":
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB")
    if job.key == "defect":
        raise ZeroDivisionError("division by zero")
    os.kill(os.getpid(), signal.SIGKILL)


def _never(job: Job) -> bool:
    return False


def run(jobs: list[Job], make: object, view: Recorder, alone: Callable[[Job], bool] = _never) -> None:
    environment = {"UVLP_TEST_WORKER": "set"}
    workers.run(jobs, make, workers=2, environment=environment, view=view, alone=alone)  # type: ignore[arg-type]


def test_inputs_finish_before_their_consumers_start(tmp_path: Path) -> None:
    first, second = Job("a"), Job("b")
    third = Job("c", {"a": first, "b": second})
    view = Recorder()
    run([third, first, second], partial(_touch, tmp_path), view)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}
    assert (tmp_path / "c").read_text() == "set"
    assert view.lines.index("begin job c") > max(view.lines.index(f"end job {key}") for key in "ab")
    assert "event job a working" in view.lines and view.lines[-1] == "close"


def test_indirect_inputs_are_waited_for(tmp_path: Path) -> None:
    rebuilt = Job("a")
    finished = Job("b", {"a": rebuilt})
    (tmp_path / "b").touch()
    view = Recorder()
    run([Job("c", {"b": finished}), rebuilt], partial(_touch, tmp_path), view)
    assert view.lines.index("begin job c") > view.lines.index("end job a")


def test_exclusive_jobs_take_turns_beside_other_jobs(tmp_path: Path) -> None:
    jobs = [Job("gpu a"), Job("gpu b"), Job("gpu c"), Job("d"), Job("e")]
    view = Recorder()
    run(jobs, partial(_touch, tmp_path), view, alone=lambda job: job.key.startswith("gpu"))
    assert len(list(tmp_path.iterdir())) == 5
    gpu = [line for line in view.lines if "gpu" in line and "event" not in line]
    assert gpu == [f"{what} job gpu {key}" for key in "abc" for what in ("begin", "end")]
    assert view.lines.index("begin job d") < view.lines.index("end job gpu a")


def test_user_error_in_a_worker_is_raised_in_the_main_process() -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("bad input")], _fail, Recorder())
    assert (caught.value.what, caught.value.got) == ("broken", "x")
    assert "_fail" in caught.value.details


def test_full_gpu_is_a_user_error() -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("full GPU")], _fail, Recorder())
    assert "--workers 1" in str(caught.value.fix)


def test_unexpected_error_in_a_worker_keeps_its_traceback() -> None:
    with pytest.raises(WorkerFailed, match="ZeroDivisionError: division by zero") as caught:
        run([Job("defect")], _fail, Recorder())
    assert "_fail" in caught.value.details


def test_killed_worker_is_reported() -> None:
    with pytest.raises(WorkerFailed, match=r"'job killed' was killed \(SIGKILL; out of memory\?\)"):
        run([Job("killed")], _fail, Recorder())


def _interrupted_twice(folder: Path, job: Job, progress: Progress) -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        (folder / "continued").touch()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        (folder / "cleaned up").touch()


def test_second_signal_does_not_interrupt_clean_up(tmp_path: Path) -> None:
    with pytest.raises(Stopped) as caught:
        run([Job("stopped")], partial(_interrupted_twice, tmp_path), Recorder())
    assert "'job stopped'" in caught.value.what
    assert [path.name for path in tmp_path.iterdir()] == ["cleaned up"]
    assert caught.value.exit_code == 130


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (-signal.SIGTERM, "stopped by SIGTERM"),
        (128 + signal.SIGINT, "stopped by SIGINT"),
        (-signal.SIGSEGV, "ended by SIGSEGV"),
        (3, "ended with exit code 3"),
    ],
)
def test_error_describes_how_a_process_ended(code: int, cause: str) -> None:
    assert cause in str(workers.process_death("a process", code))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
    ],
)
def test_full_memory_is_a_user_error(error: Exception) -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("large")], partial(_raise, error), Recorder())
    assert caught.value.what == "out of memory"


def _raise(error: Exception, job: Job, progress: Progress) -> None:
    raise error


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
    start = multiprocessing.process.BaseProcess.start

    def elsewhere() -> None:  # like a thread of a library, which ignores the mask
        signal.pthread_sigmask(signal.SIG_UNBLOCK, workers.SIGNALS)
        signal.raise_signal(signal.SIGINT)

    def interrupted(process: multiprocessing.process.BaseProcess) -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        start(process)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([Job("a")], partial(_touch, tmp_path), Recorder())
    assert capfd.readouterr().err == ""
    assert not multiprocessing.active_children()


def _record_blocked_signals(folder: Path, job: Job, progress: Progress) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    (folder / job.key).write_text(" ".join(sorted(signal.Signals(each).name for each in blocked)))


class _Interrupting(Recorder):
    """Unpickled while a worker is still importing, and sends it a signal then."""

    def __call__(self, job: Job, progress: Progress) -> None:
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
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(workers.SIGNALS)


@pytest.mark.parametrize("sent", [b"", b"\x80\x04\x95\x00\x01"], ids=["nothing", "a part"])
def test_worker_without_start_up_data_exits_without_traceback(sent: bytes) -> None:
    reader, writer = os.pipe()
    os.write(writer, sent)
    os.close(writer)
    with workers._quiet_if_alone():
        command = spawn.get_command_line(tracker_fd=reader, pipe_handle=reader)
    assert spawn.get_command_line(tracker_fd=1, pipe_handle=1) != command, "restored"
    completed = subprocess.run(
        [sys.executable, *command[1:]], pass_fds=[reader], stderr=subprocess.PIPE, check=False
    )
    os.close(reader)
    assert (completed.returncode, completed.stderr) == (1, b"")


def test_killed_main_process_leaves_no_traceback_of_a_starting_worker() -> None:
    program = """
import os, signal
from multiprocessing import resource_tracker, util
from uvlp.core import workers
resource_tracker.ensure_running()
start = util.spawnv_passfds
def killed(*arguments):
    start(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
util.spawnv_passfds = killed
workers._start(print)
"""
    completed = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False)
    assert (completed.returncode, completed.stderr) == (-signal.SIGKILL, b"")
