"""Waiting for inputs that another host has finished and that a network file system does not show yet."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines

VISIBLE_S = 120.0
"""How long names are looked for again: NFS caches them for up to 60 s (`acdirmax` in nfs(5)), plus delays."""
LOOK_EVERY_S = 1.0
MOUNTS = Path("/proc/self/mountinfo")
LOCAL = ("btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
"""File systems of one host, on which a missing name is missing."""


def await_inputs(
    store: Store,
    task: Task,
    log: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when every input of ``task`` is visible.

    Every input was finished, or made by an earlier task of the run, so on a local file system one that is
    missing was deleted, and is reported at once.

    Args:
        store: with the inputs.
        log: called with a message before waiting.
        clock, sleep: monotonic clock and sleep, in seconds.

    Raises:
        UvlpError: an input is missing.
    """
    for each in task.inputs.values():
        if store.has(each):
            continue
        kind = file_system(store.root)
        if kind not in LOCAL:
            log(f"waiting: {each.name} ({each.title}) is not visible yet{f' on {kind}' if kind else ''}")
            until = clock() + VISIBLE_S
            while not store.sees(each) and clock() < until:
                sleep(LOOK_EVERY_S)
        if not store.sees(each):
            raise UvlpError(
                f"an input is missing: {each.name} ({each.title})",
                got=str(store.folder(each)),
                fix="re-run the command: it is made again",
            )


def file_system(path: Path) -> str:
    """Return the type of the file system of ``path``, e.g. ``nfs4``; "" if unknown."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError):
        for line in split_lines(MOUNTS.read_text(encoding="utf-8", errors="replace")):
            # "36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/sda1 rw" (proc(5))
            place, _, kind = line.partition(" - ")
            if place.split(" ")[2:3] == [number]:
                return kind.split(" ")[0]
    return ""
