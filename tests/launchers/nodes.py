"""Nodes of the Slurm of `shared/slurm/start.sh`, all on this machine, that are lost and come back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from uvlp.launchers.jobs import queue


def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.2)


def listed() -> dict[str, queue.State]:
    """Return the jobs in the queue."""
    return queue.states()


def shown(job: str, field: str) -> str:
    """Return a field of what `scontrol` shows of a job."""
    command = ["scontrol", "-o", "show", "job", job]
    printed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    return next(word.partition("=")[2] for word in printed.split() if word.startswith(f"{field}="))


def start_at_once(job: str, limit_s: float = 90.0) -> None:
    """Wait until a job was queued again; Slurm would let it wait for two minutes."""
    until(lambda: listed()[job].reason == "BeginTime", limit_s)
    time.sleep(2)  # within a second, the same node would refuse it: "Job credential revoked"
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)


def preempt(node: str) -> None:
    """Let a short job of another partition take a node."""
    other = ["sbatch", "-p", "high", "-w", node, "--exclusive", "--mem=100M", "-o", "/dev/null"]
    subprocess.run([*other, "--wrap", "sleep 3"], check=True, capture_output=True)


@contextlib.contextmanager
def lost(node: str, *, steps: bool = True) -> Iterator[None]:
    """Kill the daemon of a node, which comes back after the block.

    Args:
        node: its name.
        steps: whether its jobs are killed too; they go on otherwise, though the cluster counts them as lost.
    """
    folder = Path(os.environ["SLURM_CONF"]).parent
    daemon = folder / "run" / f"slurmd-{node}.pid"
    os.kill(int(daemon.read_text(encoding="utf-8")), signal.SIGKILL)
    if steps:
        end(processes(node))
    try:
        yield
    finally:
        end(processes(node))
        subprocess.run(["slurmd", "-N", node], check=True)
        until(lambda: _state(node).rstrip("*") in ("idle", "mix", "alloc"))


def end(found: list[int]) -> None:
    """Kill processes."""
    for number in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def processes(node: str) -> list[int]:
    """Return the processes of jobs on a node, and before them those of Slurm that watch over them."""
    marks = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={os.environ['SLURM_CONF']}"}
    numbers = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    own = [number for number in numbers if marks <= set(_read(number, "environ").split("\0"))]
    parents = {_parent(number) for number in own} - {0, 1}
    return [*(number for number in parents if _read(number, "cmdline").startswith("slurmstepd")), *own]


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parent(process: int) -> int:
    # The name in parentheses may contain spaces and parentheses.
    words = _read(process, "stat").rpartition(")")[2].split()
    return int(words[1]) if words else 0


def _state(node: str) -> str:
    command = ["sinfo", "-h", "-N", "-p", "test", "-n", node, "-o", "%t"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()
