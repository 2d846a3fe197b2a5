"""`python -m uvlp.models.finetuning.follow MEETING RANK`: take part in the fine-tunings of a job.

It runs on every machine of a job but the first, whose calls in the folder MEETING it answers
(`core/scheduling/meeting.py`) until that is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from uvlp.core.scheduling import meeting
from uvlp.models.finetuning import launch

PATIENCE_S = 10.0


def main(folder: Path, rank: int) -> None:
    """Answer calls in ``folder`` as machine ``rank``."""
    signal.signal(signal.SIGTERM, _end)
    running: subprocess.Popen[bytes] | None = None
    answered = ""
    try:
        while not (folder / meeting.END).exists():
            meeting.answer(folder, rank)
            call = meeting.heard(folder)
            if running is not None and (call is None or call.number != answered):
                _stop(running)  # the first machine has ended, or begins again
                running = None
            if call is not None and call.number != answered:
                answered, running = call.number, _join(call, rank)
            time.sleep(meeting.POLL_S)
    finally:
        if running is not None:
            _stop(running)


def _join(call: meeting.Call, rank: int) -> subprocess.Popen[bytes]:
    command = launch.command(Path(call.job), call.processes, call.cpu, call, rank)
    return subprocess.Popen(command, env=launch.environment(), stdout=subprocess.DEVNULL)


def _stop(running: subprocess.Popen[bytes]) -> None:
    """End processes; those of a fine-tuning that is done end by themselves."""
    try:
        running.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        running.terminate()
        try:
            running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    # The warning of a cluster is for the first machine, which has the job queued again.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.environ.pop(meeting.MACHINES, None)
    main(Path(sys.argv[1]), int(sys.argv[2]))
