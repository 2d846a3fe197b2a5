"""A run on paper: when each job of a plan would run on the cards of a machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError
from uvlp.core.machine import evaluations_on
from uvlp.core.nvidia import Card
from uvlp.core.scheduling.cards import Asked, Parallel
from uvlp.core.scheduling.rule import Start
from uvlp.core.scheduling.simulate import Ran, simulate
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.estimates.cards import Machine
from uvlp.pipeline.planning.spread import in_order, of_job, spread
from uvlp.pipeline.prepare import Plan

Factor = Callable[[Start[Any]], float]


def cards_of(machine: Machine, asked: Asked) -> Parallel:
    """Return the cards of a machine that is not here, each with the cores that are assumed for one.

    Raises:
        UvlpError: more cards for one fine-tuning than it has.
    """
    count, per_finetune = machine.count, asked.gpus_per_finetune or machine.count
    if per_finetune > count:
        raise UvlpError(
            "--gpus-per-finetune: more GPUs than can be used",
            got=per_finetune,
            allowed=f"1 to {count}",
            fix="leave it out to use all",
        )
    mib = int(machine.memory_bytes / 2**20)
    cards = tuple(
        Card(name=machine.name, driver="", total_mib=mib, index=number, uuid=f"GPU-{number}")
        for number in range(count)
    )
    shared = asked.per_gpu or evaluations_on(cards[0])
    return Parallel(
        cards=cards,
        shares=(shared,) * count,
        workers=asked.workers or shared * count,
        per_finetune=per_finetune,
        cores=machine.cores * count,
    )


def on_paper(
    plan: Plan, todo: Sequence[Task], parallel: Parallel, card: Machine, factor: Factor = lambda start: 1.0
) -> list[Ran]:
    """Return when the jobs of a run would run; a job of unknown time takes none.

    Args:
        plan: of the run.
        todo: its tasks to make.
        parallel: the cards and workers.
        card: one of the cards.
        factor: how many times longer a job takes where it starts.
    """
    needs = estimated.on_machine(parallel, estimated.of_plan(plan, card))
    jobs = spread(in_order(todo, needs), needs, min(len(parallel.cards), parallel.workers))
    of_each = partial(of_job, needs=needs)
    return simulate(
        jobs, parallel.layout, of_each, lambda start: (of_each(start.job).minutes or 0.0) * factor(start)
    )


def hours(plan: Plan, todo: Sequence[Task], parallel: Parallel, card: Machine) -> float | None:
    """Return how long the run would take on its cards together; None if a part of it is unknown."""
    known = estimated.of_plan(plan, card)
    if any(task.key not in known or known[task.key].minutes is None for task in todo):
        return None
    return max((ran.ended for ran in on_paper(plan, todo, parallel, card)), default=0.0) / 60
