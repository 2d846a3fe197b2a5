"""GPUs of this machine as NVIDIA's driver reports them, without torch."""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from functools import cache

from uvlp.core.files.lines import split_lines

QUERY = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total")
LONGEST_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One GPU; memory in MiB, as the driver reports it."""

    name: str
    driver: str
    total_mib: int


def cards() -> tuple[Card, ...]:
    """Return every GPU that the driver lists, including masked ones; empty without a driver."""
    command = [*QUERY, "--format=csv,noheader,nounits"]
    try:
        completed = subprocess.run(command, capture_output=True, timeout=LONGEST_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [
        [field.strip() for field in line.rsplit(",", 2)]
        for line in split_lines(completed.stdout.decode(errors="replace"))
    ]
    return tuple(
        # A MIG partition has no memory of its own in this table.
        Card(name=row[0], driver=row[1], total_mib=_number(row[2]))
        for row in rows
        if len(row) == 3  # driver warnings, e.g. of a corrupted infoROM, appear between the rows
    )


def all_gpus_masked() -> bool:
    """Return whether the environment hides every GPU from CUDA."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")


@cache
def visible_gpus() -> tuple[Card, ...]:
    """Return `cards`, or nothing if they are masked; cached, because the query takes over 0.1 s."""
    return () if all_gpus_masked() else cards()


def driver_cuda() -> tuple[int, int] | None:
    """Return the newest CUDA version that the driver supports, e.g. ``(13, 0)``; None without a driver."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
