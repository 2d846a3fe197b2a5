"""Rates that were measured on the card in question; they take the place of the projection.

A record is a JSON file in `paper_tables/measured/benchmarks` with the driver's name of the card and, by
stage, the items per second that were reached with published models at their default settings:
``{"hardware": "NVIDIA H200", "rates": {"synthesise": 4.2}}``. The unit is that of the estimate's rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from uvlp.artifacts.manifest import Task
from uvlp.core.plugins import PACKAGE
from uvlp.estimates.cards import Machine
from uvlp.estimates.cost import Cost

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
    rate = rates(FOLDER, machine.name).get(task.stage, 0.0) if "precision" in task.facts else 0.0
    return Time(cost.items / rate, True) if rate > 0 else Time(cost.seconds, False)
