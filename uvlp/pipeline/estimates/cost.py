"""What one artifact takes, what that depends on, and rates measured on a card, which replace the projection.

A record is a JSON file in `paper_tables/measured/benchmarks` with the driver's name of the card and, by
stage, the items per second that were reached with published models at their default settings:
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
"""Of the image that `assumptions.DECODE_S` speaks of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one artifact takes.

    Attributes:
        items, unit: how much work, e.g. 9469 "images".
        seconds: None where the work was not counted.
        gpu_bytes: of a card's memory at once.
        host_bytes: of the host's memory at once.
        disk_bytes: that stay.
        scratch_bytes: more of the disk, until the artifact is complete.
        rests_on: the assumptions in it.
    """

    items: int
    unit: str
    seconds: float | None
    gpu_bytes: float = 0.0
    host_bytes: float = float(assumed.PROCESS_BYTES)
    disk_bytes: float = 0.0
    scratch_bytes: float = 0.0
    rests_on: tuple[assumed.Assumed, ...] = ()


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every cost depends on: the recipe, the size of its dataset, and the machine."""

    recipe: Recipe
    size: DatasetSize
    machine: Machine

    def seconds(self, flops: float, rate: float, share: assumed.Assumed) -> float:
        """Time for ``flops`` at a share of the card's ``rate``; a processor has its own of both."""
        if not self.machine.gpu:
            return flops / (self.machine.single * _on_processor(share).value)
        return flops / (rate * share.value)

    def on_card(self, weights: float, maps: float) -> float:
        """Bytes of a card's memory; none on a processor."""
        return weights + maps + assumed.CONTEXT_BYTES if self.machine.gpu else 0.0

    @property
    def half(self) -> int:
        """Bytes of a number that a card holds in half precision; a processor computes in float32."""
        return HALF if self.machine.gpu else SINGLE

    def on_host(self, weights: float, maps: float, held: float = 0.0) -> float:
        """Bytes of the host's memory: what is held there, and the model itself where there is no card."""
        return assumed.PROCESS_BYTES + held + (0.0 if self.machine.gpu else weights + maps)

    @property
    def decode_s(self) -> float:
        """Time to read and resize one image on all cores."""
        return self.size.image_pixels / USUAL_PIXELS * assumed.DECODE_S.value / self.machine.cores

    def rests_on(self, *found: assumed.Assumed) -> tuple[assumed.Assumed, ...]:
        """On a card the assumptions named, on a processor its own in place of the first, which is a share."""
        return found if self.machine.gpu else (_on_processor(found[0]),)


def _on_processor(share: assumed.Assumed) -> assumed.Assumed:
    """The share of a processor's rate where a card has this one: large matrices reach more of it."""
    small = share in (assumed.NETWORK_SHARE, assumed.SMALL_SHARE)
    return assumed.PROCESSOR_SHARE if small else assumed.LARGE_PROCESSOR_SHARE


FOLDER = PACKAGE.parent / "paper_tables" / "measured" / "benchmarks"


class Time(NamedTuple):
    """Seconds, None where they are not known, and whether they come from a measured rate."""

    seconds: float | None
    measured: bool


@cache
def rates(folder: Path, hardware: str) -> Mapping[str, float]:
    """Items per second by stage, measured on ``hardware``; of two records the later file in name order."""
    found: dict[str, float] = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("hardware") == hardware:
            found |= {str(stage): float(rate) for stage, rate in record.get("rates", {}).items()}
    return found


def seconds(task: Task, cost: Cost, machine: Machine) -> Time:
    """Time of one artifact: measured where it reads published models and a record has its stage."""
    rate = rates(FOLDER, machine.name).get(task.stage, 0.0) if task.published else 0.0
    return Time(cost.items / rate, True) if rate > 0 else Time(cost.seconds, False)
