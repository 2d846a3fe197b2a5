"""Identity of a process: its host, the boot of that host, its process namespace, number and start time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
ENDED = ("Z", "X")
"""States of a process that has ended, but whose parent has not collected its exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process; process numbers are comparable only within one namespace of one boot of one host.

    Attributes:
        host: name of the host.
        boot, namespace: random boot identifier and process namespace; "" where the system has none.
        pid: process number in that namespace.
        started: start time in clock ticks since boot; 0 if unknown.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int

    @property
    def is_here(self) -> bool:
        """Whether its number can be looked up by this process."""
        here = this_process()
        same = (self.host, self.boot, self.namespace) == (here.host, here.boot, here.namespace)
        return same and bool(self.boot and self.namespace)

    @property
    def is_known_dead(self) -> bool:
        """Whether it has certainly ended; False for a process of another host or namespace."""
        return self.is_here and not _is_running(self.pid, self.started)


def this_process() -> Process:
    """Return the identity of this process."""
    pid = os.getpid()
    # A process in a new namespace that still sees its parent's /proc would look up other processes.
    own = _link(PROC / "self") == str(pid)
    boot = _text(PROC / "sys/kernel/random/boot_id").strip() if own else ""
    return Process(
        host=os.uname().nodename,
        boot=boot,
        namespace=_link(PROC / "self/ns/pid") if own else "",
        pid=pid,
        started=_state(pid)[1],
    )


def _is_running(pid: int, started: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # a process of another user
        pass
    state, now_started = _state(pid)
    # Where /proc hides other users' processes, a process that exists counts as the same.
    return not state or (state not in ENDED and started in (0, now_started))


def _state(pid: int) -> tuple[str, int]:
    """Return state and start time of a process; ("", 0) if unknown (proc(5), fields 3 and 22)."""
    fields = _text(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return (fields[0], int(fields[19])) if len(fields) > 19 else ("", 0)


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
