"""The log of a command that makes something, in the store: what happened, to look for the cause of a failure.

It lies beside the journals, ``<store>/.runs/<date-time>.log``, one file per process, so that processes which
share a store never mix lines. What was reported before the first work, e.g. while datasets were read, is
written with it; a command that finds all artifacts made leaves no log.

The newest `KEPT` logs stay, and older ones that were written to within `KEPT_DAYS`; never more than `MOST`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from uvlp.core.display import log
from uvlp.core.files.leases.host import Process, this_process
from uvlp.pipeline.runs import files

SUFFIX = ".log"
KEPT, KEPT_DAYS, MOST = 100, 7, 1000
PROCESS = "process"


def begin(root: Path) -> None:
    """Write the log of this command, if it has one, into ``root`` from now on, if that is a store."""
    from uvlp.artifacts.checks import store_mark  # slow, and not needed to find a log

    kept = log.current()
    if kept is not None and not kept.opened and store_mark.is_marked(root):
        kept.open_in(root / files.FOLDER, lambda: f"{files.new_name()}{SUFFIX}", _heading())
        prune(root)


def _heading() -> Iterator[str]:
    """Yield what the reader of a log has to know: the command, versions, the commit, the machine."""
    from uvlp.core import machine, nvidia
    from uvlp.pipeline.runs.journal import command_line

    yield f"command: {command_line()}"
    yield f"folder: {os.getcwd()}"
    yield f"versions: {', '.join(f'{name} {version}' for name, version in machine.versions().items())}"
    yield f"commit: {_commit()}"
    cards = ", ".join(card.name for card in nvidia.visible_gpus()) or "no GPU"
    memory = f"{machine.memory_bytes() / 2**30:.0f} GiB"
    yield f"machine: {platform.node()}, {platform.platform()}, {machine.cores()} cores, {memory}, {cards}"
    yield _identity(this_process())


def _identity(process: Process) -> str:
    return f"{PROCESS}: {' '.join(map(str, astuple(process)))}"


def _commit() -> str:
    """Return the commit of this checkout, with a mark if files differ from it."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return "unknown (not a checkout)"
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=10, check=False, encoding="utf-8")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown (git does not answer)"
    return ran.stdout.strip() or "unknown (git does not know it)"


def find(root: Path, process: Process, at_s: float) -> Path | None:
    """Return the log of the command whose process began a run ``at_s`` seconds after 1970 (UTC)."""
    latest = time.strftime("%Y%m%d-%H%M%S", time.gmtime(at_s + 1))
    for path in reversed(_logs(root)):
        if path.name[: len(latest)] <= latest and _is_of(path, process):
            return path
    return None


def _is_of(path: Path, process: Process) -> bool:
    wanted = _identity(process)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return any(line.rstrip("\n") == wanted for line, _ in zip(file, range(10), strict=False))
    except OSError:
        return False


def _logs(root: Path) -> list[Path]:
    try:
        found = list((root / files.FOLDER).iterdir())
    except OSError:
        return []
    return sorted(path for path in found if path.suffix == SUFFIX and files.NAME.fullmatch(path.stem))


def prune(root: Path) -> None:
    """Delete old logs."""
    logs = _logs(root)
    for path in logs[:-KEPT]:
        with contextlib.suppress(OSError):
            if path in logs[:-MOST] or time.time() - path.stat().st_mtime > KEPT_DAYS * 86_400:
                path.unlink()
