"""What workers print reaches the user and the log, whatever becomes of them."""

import os
import signal
import subprocess
import sys

import pytest

from tests.core.scheduling.test_workers import Cards, Job, Recorder, run
from uvlp.core.display import messages
from uvlp.core.errors import WorkerFailed
from uvlp.core.progress import Progress
from uvlp.core.scheduling.output import Output


def _print(job: Job, progress: Progress, _: Cards) -> None:
    print("a warning\n\nwith \xe4", file=sys.stderr)
    os.write(2, b"5 %\r100 %\n\xff and no end")
    if job.key == "dies":
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("key", ["lives", "dies"])
def test_lines_of_workers_are_reported(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    logged: list[tuple[str, str]] = []
    with messages.recorded_by(lambda kind, text: logged.append((kind, text))):
        try:
            run([Job(key)], _print, Recorder())
        except WorkerFailed:
            assert key == "dies"
    lines = ["a warning", "with \xe4", "5 %", "100 %", "\ufffd and no end"]
    assert logged == [("worker", line) for line in lines]
    assert capsys.readouterr().err == "".join(f"worker {line}\n" for line in lines)


def test_a_process_that_holds_the_other_end_is_not_waited_for() -> None:
    script = "import os, time; os.write(2, b'one'); os.close(1); time.sleep(600)"
    program = [sys.executable, "-c", script]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read()  # it has printed
        output = Output(os.dup(process.stderr.fileno()))
        logged: list[str] = []
        with messages.recorded_by(lambda kind, text: logged.append(text)):
            output.read()
            assert not output.ended and not logged
            output.close()
        process.kill()
    assert logged == ["one"]
