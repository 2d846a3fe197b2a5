"""GPUs of this machine as NVIDIA's driver reports them, without torch."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from uvlp.core.files.lines import split_lines

MASK = "CUDA_VISIBLE_DEVICES"
CSV = ("--format=csv,noheader,nounits",)
FIELDS = ("name", "driver_version", "memory.total", "index", "uuid", "memory.used", "mig.mode.current")
LONGEST_S = 10
LOST = ("lost", "unknown error", "unable to determine")
"""What the driver reports of a GPU that it no longer reaches, in lower case."""
WHOLE = re.compile(r"GPU \d+: .* \(UUID: (GPU-[^)]+)\)")
SLICE = re.compile(r"\s+MIG (\S+?\.(\d+)gb\S*)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One GPU, or one MIG device of a GPU; memory in MiB, as the driver reports it.

    Attributes:
        index: of the GPU, as `nvidia-smi` counts.
        uuid: a name that CUDA understands, ``GPU-...`` or ``MIG-...``.
        used_mib: memory that is in use; 0 for a MIG device, of which the driver does not list it.
        mig: whether a GPU is partitioned, so that only its MIG devices can be used.
    """

    name: str
    driver: str
    total_mib: int
    index: int
    uuid: str
    used_mib: int = 0
    mig: bool = False

    @property
    def title(self) -> str:
        """Name for messages."""
        return f"GPU {self.index} ({self.name})"


def cards() -> tuple[Card, ...]:
    """Return every GPU that the driver lists and reaches, including masked ones; empty without a driver."""
    return tuple(
        Card(
            name=row[0],
            driver=row[1],
            total_mib=_number(row[2]),
            index=_number(row[3]),
            uuid=row[4],
            used_mib=_number(row[5]),
            mig=row[6] == "Enabled",
        )
        for line in _ask(f"--query-gpu={','.join(FIELDS)}", *CSV)
        # Warnings, e.g. of a corrupted infoROM, appear between the rows.
        if len(row := [field.strip() for field in line.rsplit(",", len(FIELDS) - 1)]) == len(FIELDS)
        and not any(word in line.lower() for word in LOST)
    )


def devices() -> tuple[Card, ...]:
    """Return what CUDA can use: every GPU of `cards`, or its MIG devices if it is partitioned."""
    whole = cards()
    if not any(card.mig for card in whole):
        return whole
    slices = _slices(whole)
    return tuple(device for card in whole for device in (slices.get(card.uuid, []) if card.mig else [card]))


def _slices(whole: Sequence[Card]) -> dict[str, list[Card]]:
    """Return the MIG devices by the UUID of their GPU; their memory is that of their profile, e.g. 1g.5gb."""
    by_uuid = {card.uuid: card for card in whole}
    found: dict[str, list[Card]] = {}
    parent: Card | None = None
    for line in _ask("-L"):
        if match := WHOLE.match(line):
            parent = by_uuid.get(match[1])
        elif parent is not None and (match := SLICE.match(line)):
            device = replace(
                parent,
                name=f"{parent.name} MIG {match[1]}",
                total_mib=int(match[2]) * 1024,
                uuid=match[3],
                used_mib=0,
                mig=False,
            )
            found.setdefault(parent.uuid, []).append(device)
    return found


def processes() -> dict[str, list[int]]:
    """Return the processes that compute on GPUs, by the UUID of the GPU."""
    found: dict[str, list[int]] = {}
    for line in _ask("--query-compute-apps=gpu_uuid,pid", *CSV):
        uuid, _, number = line.partition(",")
        if number.strip().isdigit():
            found.setdefault(uuid.strip(), []).append(int(number))
    return found


def _ask(*arguments: str) -> list[str]:
    """Return the lines that `nvidia-smi` prints, also if it fails because it does not reach a GPU."""
    try:
        completed = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, timeout=LONGEST_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return split_lines(completed.stdout.decode(errors="replace"))


def all_gpus_masked() -> bool:
    """Return whether the environment hides every GPU from CUDA."""
    return os.environ.get(MASK, "0").strip() in ("", "-1")


@cache
def visible_gpus() -> tuple[Card, ...]:
    """Return the `devices` that the environment does not hide; cached, because the query takes over 0.1 s."""
    return () if all_gpus_masked() else masked(devices())[0]


def masked(all_devices: Sequence[Card]) -> tuple[tuple[Card, ...], str]:
    """Return the devices that CUDA_VISIBLE_DEVICES names, and the first name that is none of them.

    As for CUDA, what follows such a name is not visible. A number is the index that `nvidia-smi` prints; a
    UUID may be shortened.
    """
    if MASK not in os.environ:
        return tuple(all_devices), ""
    chosen: list[Card] = []
    for name in os.environ[MASK].split(","):
        named = [device for device in all_devices if _is_named(device, name.strip())]
        if not named:
            return tuple(chosen), name.strip()
        chosen += [device for device in named[:1] if device not in chosen]
    return tuple(chosen), ""


def _is_named(device: Card, name: str) -> bool:
    if name.isdigit():
        return device.index == int(name)
    return bool(name) and device.uuid.startswith(name) and name.startswith(("GPU-", "MIG-"))


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
