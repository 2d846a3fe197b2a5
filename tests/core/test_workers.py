"""Worker processes: order, errors, death."""

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
    """As torch names it."""


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, title: str) -> None:
        self.lines.append(f"begin {title}")

    def event(self, title: str, event: Event) -> None:
        self.lines.append(f"event {title} {event.say}")

    def end(self, title: str, seconds: float) -> None:
        self.lines.append(f"end {title}")

    def close(self) -> None:
        self.lines.append("close")


def _touch(folder: Path, job: Job, progress: Progress) -> None:
    for needed in job.inputs.values():
        assert (folder / needed.key).exists()
    progress.say("working")
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


def test_inputs_are_made_before_what_reads_them(tmp_path: Path) -> None:
    first, second = Job("a"), Job("b")
    third = Job("c", {"a": first, "b": second})
    view = Recorder()
    run([third, first, second], partial(_touch, tmp_path), view)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}
    assert (tmp_path / "c").read_text() == "set"
    assert view.lines.index("begin job c") > max(view.lines.index(f"end job {key}") for key in "ab")
    assert "event job a working" in view.lines and view.lines[-1] == "close"


def test_what_is_behind_a_finished_input_is_waited_for_too(tmp_path: Path) -> None:
    rebuilt = Job("a")
    finished = Job("b", {"a": rebuilt})
    (tmp_path / "b").touch()
    view = Recorder()
    run([Job("c", {"b": finished}), rebuilt], partial(_touch, tmp_path), view)
    assert view.lines.index("begin job c") > view.lines.index("end job a")


def test_jobs_that_need_to_be_alone_take_turns_and_others_run_beside_them(tmp_path: Path) -> None:
    jobs = [Job("gpu a"), Job("gpu b"), Job("gpu c"), Job("d"), Job("e")]
    view = Recorder()
    run(jobs, partial(_touch, tmp_path), view, alone=lambda job: job.key.startswith("gpu"))
    assert len(list(tmp_path.iterdir())) == 5
    gpu = [line for line in view.lines if "gpu" in line and "event" not in line]
    assert gpu == [f"{what} job gpu {key}" for key in "abc" for what in ("begin", "end")]
    assert view.lines.index("begin job d") < view.lines.index("end job gpu a")


def test_bad_input_in_a_worker_is_raised_here() -> None:
    with pytest.raises(UvlpError, match="broken: got 'x'") as caught:
        run([Job("bad input")], _fail, Recorder())
    assert "_fail" in caught.value.details


def test_a_full_gpu_is_not_a_defect() -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("full GPU")], _fail, Recorder())
    assert "--workers 1" in str(caught.value.fix)


def test_a_defect_in_a_worker_keeps_its_traceback() -> None:
    with pytest.raises(WorkerFailed, match="ZeroDivisionError: division by zero") as caught:
        run([Job("defect")], _fail, Recorder())
    assert "_fail" in caught.value.details


def test_a_killed_worker_is_said() -> None:
    with pytest.raises(WorkerFailed, match=r"'job killed' was killed \(SIGKILL; out of memory\?\)"):
        run([Job("killed")], _fail, Recorder())


def _interrupted_twice(folder: Path, job: Job, progress: Progress) -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        (folder / "went on").touch()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        (folder / "cleaned up").touch()


def test_a_second_signal_does_not_cut_off_the_clean_up(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="'job stopped' was asked to end") as caught:
        run([Job("stopped")], partial(_interrupted_twice, tmp_path), Recorder())
    assert [path.name for path in tmp_path.iterdir()] == ["cleaned up"]
    assert caught.value.exit_code == 130


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-signal.SIGTERM, "asked to end (SIGTERM)"),
        (128 + signal.SIGINT, "asked to end (SIGINT)"),
        (-signal.SIGSEGV, "ended by SIGSEGV"),
        (3, "ended with exit code 3"),
    ],
)
def test_how_a_process_ended_is_told(code: int, said: str) -> None:
    assert said in str(workers.death("a process", code))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
    ],
)
def test_a_full_memory_is_not_a_defect(error: Exception) -> None:
    with pytest.raises(UvlpError, match="the machine's memory is full"):
        run([Job("large")], partial(_raise, error), Recorder())


def _raise(error: Exception, job: Job, progress: Progress) -> None:
    raise error


@pytest.fixture
def keyboard() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests run in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_a_signal_while_a_worker_is_started_waits_until_the_worker_knows_what_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that the worker would show a traceback of its own."""
    start = multiprocessing.process.BaseProcess.start

    def elsewhere() -> None:  # as a thread of a library, which knows nothing of the mask
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


def _says_how_it_begins(folder: Path, job: Job, progress: Progress) -> None:
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    (folder / job.key).write_text(" ".join(sorted(signal.Signals(each).name for each in held_back)))


class _Interrupting(Recorder):
    """Unpickled in a worker before it serves: a signal comes while it is still importing."""

    def __call__(self, job: Job, progress: Progress) -> None:
        raise AssertionError("the worker has left before")

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ = state
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_while_a_worker_starts_shows_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped, match="asked to end"):
        run([Job("stopped")], _Interrupting(), Recorder())
    assert capfd.readouterr().err == ""


def test_a_worker_that_has_started_holds_no_signal_back(tmp_path: Path) -> None:
    run([Job("a")], partial(_says_how_it_begins, tmp_path), Recorder())
    assert (tmp_path / "a").read_text() == ""
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(workers.SIGNALS)


@pytest.mark.parametrize("told", [b"", b"\x80\x04\x95\x00\x01"], ids=["nothing", "a part"])
def test_a_worker_that_is_never_told_what_it_is_ends_without_a_traceback(told: bytes) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, told)
    os.close(theirs)
    with workers._quiet_if_alone():
        command = spawn.get_command_line(tracker_fd=ours, pipe_handle=ours)
    assert spawn.get_command_line(tracker_fd=1, pipe_handle=1) != command, "as it was before"
    ran = subprocess.run([sys.executable, *command[1:]], pass_fds=[ours], stderr=subprocess.PIPE, check=False)
    os.close(ours)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_a_main_process_that_is_killed_while_a_worker_starts_leaves_no_traceback() -> None:
    program = """
import os, signal
from multiprocessing import resource_tracker, util
from uvlp.core import workers
resource_tracker.ensure_running()
start = util.spawnv_passfds
def killed(*words):
    start(*words)
    os.kill(os.getpid(), signal.SIGKILL)
util.spawnv_passfds = killed
workers._start(print)
"""
    ran = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (-signal.SIGKILL, b"")
