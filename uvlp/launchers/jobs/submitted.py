"""The object that submitit runs on a node: it starts the job's process, and has it queued again.

Near the time limit, or when the job is preempted, submitit calls `checkpoint` from a signal handler and has
the cluster queue the job again under the same number. What was finished is in the store, and parts of the
rest are in its partial folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from uvlp.launchers.jobs import outcome

PATIENCE_S = 45.0
"""Time for the job's process to write its last parts, within the usual warning of the cluster."""
POLL_S = 0.2
SIGNAL_S = 60.0
"""After its process was stopped by the cluster, how long the job waits for the signal that follows."""


class OnNode:
    """A job; ``folder`` and ``name`` say where its order lies."""

    def __init__(self, folder: str, name: str) -> None:
        self.folder, self.name = Path(folder), name
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> str:
        """Run the job's process; return when all its tasks are finished.

        Raises:
            RuntimeError: it failed; the outcome file says how. Jobs that need it are not started.
        """
        outcome.path(self.folder, self.name).unlink(missing_ok=True)
        command = [sys.executable, "-m", "uvlp.launchers.jobs.node", str(self.folder), self.name]
        self._process = subprocess.Popen(command, preexec_fn=_ignore_warning)
        # `wait` would hold a lock that the signal handler needs.
        while (code := self._process.poll()) is None:
            time.sleep(POLL_S)
        content = outcome.read(self.folder, self.name) or {"state": f"exit code {code}", "what": ""}
        if content["state"] == outcome.STOPPED:
            time.sleep(SIGNAL_S)  # interrupted by the signal of a preemption
        if code < 0 and content["state"] != outcome.STOPPED:
            cause = (
                "killed (SIGKILL; out of memory?)" if code == -signal.SIGKILL else f"ended by signal {-code}"
            )
            outcome.write(self.folder, self.name, RuntimeError(f"the job's process was {cause}"))
        if code != 0:
            raise RuntimeError(f"the job {self.name} ended: {content['state']} {content['what']}")
        return self.name

    def checkpoint(self) -> Any:
        """Stop the job's process, and return what submitit runs when the job starts again.

        Without the cluster's commands, as in a container, the job script asks for it: see `sbatch.REQUEUE`.
        """
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_S)
            self._process.kill()
        outcome.path(self.folder, self.name).unlink(missing_ok=True)
        if shutil.which("scontrol") is None:
            (self.folder / f"{os.environ['SLURM_JOB_ID']}.requeue").touch()
            raise SystemExit(1)
        return DelayedSubmission(OnNode(str(self.folder), self.name))


def _ignore_warning() -> None:
    """Let the job's process and its workers ignore the warning, which the cluster sends to all of them."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
