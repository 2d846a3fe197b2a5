"""The cost of one artifact, its inputs, and rates measured on a card, which replace projected ones.

A record is a JSON file in `paper_tables/measured/benchmarks` with the driver's name of the card and, by
stage, the measured items per second with published models at their default settings:
``{"hardware": "NVIDIA H200", "rates": {"synthesise": 4.2}}``. The unit is that of the estimate's rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from uvlp.artifacts.task import Task
from uvlp.core.plugins import PACKAGE
from uvlp.pipeline.estimates import assumptions as assumed
from uvlp.pipeline.estimates.cards import Machine
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.schema import Recipe

HALF, SINGLE = 2, 4
"""Bytes of a number."""
USUAL_PIXELS = 500 * 375
"""Size of the image of `assumptions.DECODE_S`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of one artifact.

    Attributes:
        items, unit: amount of work, e.g. 9469 "images".
        seconds: None if the work was not counted.
        gpu_bytes: peak GPU memory.
        batch: items that are on the GPU at once, if the run divides them where memory is too small; else 0.
        item_bytes: GPU memory of one of them.
        host_bytes: peak host memory.
        disk_bytes: permanent disk usage.
        scratch_bytes: additional disk usage until the artifact is complete.
        rests_on: the assumptions used.
    """

    items: int
    unit: str
    seconds: float | None
    gpu_bytes: float = 0.0
    batch: int = 0
    item_bytes: float = 0.0
    host_bytes: float = float(assumed.PROCESS_BYTES)
    disk_bytes: float = 0.0
    scratch_bytes: float = 0.0
    rests_on: tuple[assumed.Assumed, ...] = ()


@dataclass(frozen=True, slots=True)
class RunContext:
    """Inputs of every cost: the recipe, the size of its dataset, and the machine."""

    recipe: Recipe
    size: DatasetSize
    machine: Machine

    def seconds(self, flops: float, rate: float, share: assumed.Assumed) -> float:
        """Return the time for ``flops`` at a share of the card's ``rate``, or at those of the processor.

        It is 0 for a card of which only the memory is known: then no time is reported.
        """
        if not self.machine.known:
            return 0.0
        if not self.machine.gpu:
            return flops / (self.machine.single * _on_processor(share).value)
        return flops / (rate * share.value)

    def on_card(self, weights: float, maps: float) -> float:
        """Return the GPU memory in bytes; 0 on a processor."""
        return weights + maps + assumed.CONTEXT_BYTES if self.machine.gpu else 0.0

    @property
    def half(self) -> int:
        """Bytes of a number that is stored in half precision on a card; a processor uses float32."""
        return HALF if self.machine.gpu else SINGLE

    def on_host(self, weights: float, maps: float, held: float = 0.0) -> float:
        """Return the host memory in bytes: data, and the model itself if there is no card."""
        return assumed.PROCESS_BYTES + held + (0.0 if self.machine.gpu else weights + maps)

    @property
    def decode_s(self) -> float:
        """Time to read and resize one image on all cores."""
        return self.size.image_pixels / USUAL_PIXELS * assumed.DECODE_S.value / self.machine.cores

    def rests_on(self, *used: assumed.Assumed) -> tuple[assumed.Assumed, ...]:
        """Return the given assumptions, or on a processor its own share instead of the first."""
        return used if self.machine.gpu else (_on_processor(used[0]),)


def _on_processor(share: assumed.Assumed) -> assumed.Assumed:
    """Return the processor's share that corresponds to a card's; it is higher for large matrices."""
    small = share in (assumed.NETWORK_SHARE, assumed.SMALL_SHARE)
    return assumed.PROCESSOR_SHARE if small else assumed.LARGE_PROCESSOR_SHARE


FOLDER = PACKAGE.parent / "paper_tables" / "measured" / "benchmarks"


class Time(NamedTuple):
    """Seconds (None if unknown), and whether they come from a measured rate."""

    seconds: float | None
    measured: bool


@cache
def rates(folder: Path, hardware: str) -> Mapping[str, float]:
    """Return items per second by stage, measured on ``hardware``; later files in name order win."""
    by_stage: dict[str, float] = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("hardware") == hardware:
            by_stage |= {str(stage): float(rate) for stage, rate in record.get("rates", {}).items()}
    return by_stage


def seconds(task: Task, cost: Cost, machine: Machine) -> Time:
    """Return the time of one artifact, measured if it uses published models and a record has its stage."""
    rate = rates(FOLDER, machine.name).get(task.stage, 0.0) if task.published else 0.0
    return Time(cost.items / rate, True) if rate > 0 else Time(cost.seconds, False)
