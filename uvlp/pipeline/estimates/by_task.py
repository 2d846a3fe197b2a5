"""The estimated time of each task, by which a launcher groups them into jobs."""

from __future__ import annotations

from uvlp.pipeline.estimates import cost
from uvlp.pipeline.estimates.cards import Machine
from uvlp.pipeline.estimates.cost import RunContext
from uvlp.pipeline.estimates.report import STAGES
from uvlp.pipeline.prepare import Plan


def seconds(plan: Plan, machine: Machine) -> dict[str, float]:
    """Return the time of each task of a plan on one card by its key; 0 if it is unknown."""
    if plan.size is None or not machine.known:
        return {}
    context = RunContext(plan.recipe, plan.size, machine)
    counted = [task for task in plan.tasks if task.stage in STAGES]
    costs = [(task, STAGES[task.stage](task, context)) for task in counted]
    return {task.key: cost.seconds(task, each, machine).seconds or 0.0 for task, each in costs}
