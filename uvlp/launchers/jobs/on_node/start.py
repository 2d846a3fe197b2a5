"""`python -m uvlp.launchers.jobs.on_node.start FOLDER ORDER`: run a job, and have it queued again.

Near the time limit, or when the job is preempted, submitit calls `checkpoint` from a signal handler and has
the cluster queue the job again under the same number. What was finished is in the store, and parts of the
rest are in its partial folders. Nothing is pickled: the order and the number of timeouts that are left are
JSON.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from uvlp.core import interrupts
from uvlp.core.errors import Stopped, UvlpError
from uvlp.core.nvidia import MASK
from uvlp.core.scheduling import meeting
from uvlp.launchers.jobs import order, outcome
from uvlp.launchers.jobs.on_node import local_disk, requeue

PATIENCE_S = 45.0
"""Time for the job's process to write its last parts, within the usual warning of the cluster."""
POLL_S = 0.2
SIGNAL_S = 60.0
"""After its process was stopped by the cluster, how long the job waits for the signal that follows."""
LOST_S = 900.0
"""The same if another node of the job was lost, which clusters notice after some minutes."""
NODE = "uvlp.launchers.jobs.on_node.node"
FOLLOW = "uvlp.models.finetuning.follow"
"""Takes part in fine-tunings on several nodes."""


class OnNode:
    """A job: the order ``file`` in ``folder``, and its name there."""

    def __init__(self, folder: Path, file: str, name: str) -> None:
        self.folder, self.file, self.name = folder, file, name
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Run the job's process; return when all its tasks are finished.

        Raises:
            SystemExit: it failed; the outcome file says how. Jobs that need it are not started.
        """
        outcome.path(self.folder, self.name).unlink(missing_ok=True)
        command = [sys.executable, "-m", NODE, str(self.folder), self.file, self.name]
        self._process = subprocess.Popen(command, preexec_fn=_ignore_warning)
        # `wait` would hold a lock that the signal handler needs.
        while (code := self._process.poll()) is None:
            time.sleep(POLL_S)
        # One with another exit code wrote its own, which the same command may have deleted again since.
        if (code < 0 or code == interrupts.STOPPED) and outcome.read(self.folder, self.name) is None:
            self._report(code)
        found = outcome.read(self.folder, self.name)
        if found is not None and found.state == outcome.STOPPED:
            # Interrupted by the signal of a preemption, or of a job whose node was lost.
            time.sleep(SIGNAL_S if meeting.machines() == 1 else LOST_S)
        if code != 0:
            raise SystemExit(f"the job {self.name} ended with exit code {code}")

    def _report(self, code: int) -> None:
        """Write how a process ended that could not do so itself."""
        cause = f"was ended by signal {-code}"
        if code == -signal.SIGKILL:
            cause = "was killed (SIGKILL; out of memory?)"
        error: Exception = RuntimeError(f"the job's process {cause}")
        if code in (-signal.SIGTERM, interrupts.STOPPED):  # while it was starting
            error = Stopped("it was stopped by SIGTERM")
        outcome.write(self.folder, self.name, error)

    def checkpoint(self) -> requeue.Left:
        """Stop the job's process, and return what submitit writes for the next start."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_S)
            self._process.kill()
        outcome.path(self.folder, self.name).unlink(missing_ok=True)
        return requeue.Left(self)


def _ignore_warning() -> None:
    """Let the job's process and its workers ignore the warning, which the cluster sends to all of them."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def main(folder: Path, file: str) -> None:
    """Run the job of an order that the cluster started here.

    Raises:
        SystemExit: it failed.
    """
    try:
        found = order.read(folder, file)
    except UvlpError as error:
        raise SystemExit(f"uvlp: {error}") from None
    name = found.names[int(os.environ.get("SLURM_ARRAY_TASK_ID", 0))]
    if found.limits.masked:
        os.environ[MASK] = ""  # a cluster without device constraints shows all cards of the node
    with _staging(folder, name, found.limits.staged), _among_nodes(folder, name):
        requeue.run(OnNode(folder, file, name), folder, name, found.limits)


@contextlib.contextmanager
def _staging(folder: Path, name: str, staged: bool) -> Iterator[None]:
    """Name a folder on the node's own disk to the job's processes, if it is to copy images there.

    Raises:
        SystemExit: there is none; the outcome file says why.
    """
    with contextlib.ExitStack() as stack:
        if staged:
            try:
                stack.enter_context(local_disk.folder(name))
            except UvlpError as error:
                outcome.write(folder, name, error)
                raise SystemExit(f"uvlp: {error}") from None
        yield


@contextlib.contextmanager
def _among_nodes(folder: Path, name: str) -> Iterator[None]:
    """Let the other nodes of a job follow the first one, where the block is run, if there are several.

    They meet in a folder of this start of the job: an earlier one may still use its own on a node that the
    cluster has lost.
    """
    machines = int(os.environ.get("SLURM_NTASKS", "1"))
    if machines == 1:
        yield
        return
    start = "-".join(os.environ.get(each, "0") for each in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"))
    own = folder / "meetings" / f"{name}-{start}"
    own.mkdir(parents=True, exist_ok=True)
    rank = os.environ["SLURM_PROCID"]
    if rank != "0":
        os.execv(sys.executable, [sys.executable, "-m", FOLLOW, str(own), rank])
    os.environ |= {meeting.MACHINES: str(machines), meeting.MEETING: str(own)}
    try:
        yield
    finally:
        (own / meeting.END).touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
