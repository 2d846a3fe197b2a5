"""A program `nvidia-smi` that lists pretended cards: free, busy, partitioned or lost ones."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from uvlp.core import nvidia

H200, L4 = ("NVIDIA H200", 143_771), ("NVIDIA L4", 23_034)


@dataclass(frozen=True, kw_only=True)
class Pretended:
    """A card: what the driver reports of it, the processes on it, and the profiles of its MIG devices."""

    name: str
    total_mib: int | str
    index: int
    driver: str = "580.65.06"
    used_mib: int = 4
    processes: tuple[int, ...] = ()
    slices: tuple[str, ...] = ()

    @property
    def uuid(self) -> str:
        return f"GPU-{self.index}0000000"

    @property
    def slice_uuids(self) -> list[str]:
        return [f"MIG-{self.index}{number}000000" for number in range(len(self.slices))]

    def row(self) -> str:
        mig = "Enabled" if self.slices else "[N/A]"
        memory = f"{self.total_mib}, {self.index}, {self.uuid}, {self.used_mib}"
        return f"{self.name}, {self.driver}, {memory}, {mig}"

    def listed(self) -> list[str]:
        return [
            f"GPU {self.index}: {self.name} (UUID: {self.uuid})",
            *(
                f"  MIG {profile}     Device  {number}: (UUID: {uuid})"
                for number, (profile, uuid) in enumerate(zip(self.slices, self.slice_uuids, strict=True))
            ),
        ]


def cards(count: int, kind: tuple[str, int] = H200) -> list[Pretended]:
    """Return free cards of one type."""
    return [Pretended(name=kind[0], total_mib=kind[1], index=index) for index in range(count)]


def busy(card: Pretended, *processes: int, used_mib: int = 4) -> Pretended:
    """Return a card on which other processes compute."""
    return replace(card, processes=processes, used_mib=used_mib)


class Driver:
    """The folder of the program, first in PATH; `install` may be called again, e.g. without a card."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program = folder / "nvidia-smi"
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(self, pretended: Sequence[Pretended], *warnings: str, code: int = 0) -> None:
        """Write the program; ``warnings`` are printed after the rows."""
        rows = [*(card.row() for card in pretended), *warnings]
        listed = [line for card in pretended for line in card.listed()]
        computing = [f"{card.uuid}, {number}" for card in pretended for number in card.processes]
        text = f"""#!/bin/sh
case "$1" in
--query-gpu=*) {_printing(rows)};;
--query-compute-apps=*) {_printing(computing)};;
-L) {_printing(listed)};;
esac
exit {code}
"""
        replacement = self._program.with_suffix(".new")
        replacement.write_text(text, encoding="utf-8")
        replacement.chmod(0o755)
        replacement.rename(self._program)
        nvidia.visible_gpus.cache_clear()


def _printing(lines: Sequence[str]) -> str:
    return f"printf '%s\\n' {shlex.join(lines)}" if lines else ":"
