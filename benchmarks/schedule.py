"""A large run on paper: how long the local scheduler takes on 1 to 8 cards, and what bounds it.

    python -m benchmarks.schedule [--record]

The tasks are those of ImageNet-1K at IPC 10 with four methods and three seeds; the rule, the pieces and the
needs are those of a run (`core/scheduling`, `planning/spread`, `estimates/needs`), the durations those of the
estimates for an H200. A straggler takes up to a fifth longer: drawn uniformly, once per job or once per card.
Nothing is measured.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from uvlp.core.nvidia import Card
from uvlp.core.scheduling.cards import Parallel
from uvlp.core.scheduling.rule import Needs, Start
from uvlp.core.scheduling.simulate import Ran, simulate
from uvlp.pipeline import names
from uvlp.pipeline.estimates import cards, needs as estimated
from uvlp.pipeline.planning.spread import Job, in_order, of_job, spread
from uvlp.pipeline.prepare import Plan, outline

REPORT = Path(__file__).resolve().parent.parent / "paper_tables" / "measured" / "benchmarks" / "schedule.md"
METHODS, SEEDS, IPC = ("random", "d4m", "vlcp", "uvlp"), (0, 1, 2), 10
CARD = "h200"
CORES, EVALUATIONS = 12, 4
"""Processor cores and evaluations at once per card."""
STRAGGLER = 0.2
DRAWS = 20
TARGET_H = 30.0
Factor = Callable[[Start[Any]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A run on paper.

    Attributes:
        ran: its jobs.
        cards: number of cards.
        useful_min: minutes of one card that all jobs need without stragglers, waiting and idle processes.
        chain_min: the longest chain of jobs that wait for each other, with the cards that each had.
    """

    ran: Sequence[Ran]
    cards: int
    useful_min: float
    chain_min: float

    @property
    def hours(self) -> float:
        """Time until the last job ended."""
        return max(each.ended for each in self.ran) / 60

    @property
    def card_hours(self) -> float:
        """Time that all cards together were there."""
        return self.hours * self.cards

    @property
    def busy(self) -> float:
        """Share of that time in which cards did what one card alone would have to do."""
        return self.useful_min / 60 / self.card_hours

    @property
    def longest(self) -> float:
        """Share of the time that the longest chain takes."""
        return self.chain_min / 60 / self.hours


def plan(*settings: tuple[str, Any]) -> Plan:
    """Return the plan of the run on a new machine, with some settings of the fine-tuning changed."""
    recipe = names.default_recipe("imagenet1k", IPC)
    recipe = replace(
        recipe, methods=METHODS, seeds=SEEDS, finetune=replace(recipe.finetune, **dict(settings))
    )
    return outline(names.check(recipe))


def machine(count: int, per_finetune: int = 0) -> Parallel:
    """Return ``count`` cards; a fine-tuning takes all, unless a number is given."""
    used = tuple(
        Card(name=CARD, driver="", total_mib=0, index=number, uuid=f"GPU-{number}") for number in range(count)
    )
    return Parallel(
        cards=used,
        shares=(EVALUATIONS,) * count,
        workers=EVALUATIONS * count,
        per_finetune=per_finetune or count,
        cores=CORES * count,
    )


def schedule(of: Plan, on: Parallel, factor: Factor = lambda start: 1.0) -> Schedule:
    """Return the run of a plan; ``factor`` is how many times longer a job takes where it starts."""
    one_card = estimated.of_plan(of, cards.named(CARD))
    needs = estimated.on_machine(on, one_card)
    jobs = spread(in_order(of.tasks, needs), needs, len(on.cards))

    def needed(job: Job) -> Needs:
        return of_job(job, needs)

    ran = simulate(jobs, on.layout, needed, lambda start: (needed(start.job).minutes or 0.0) * factor(start))
    useful = sum((one_card[task.key].minutes or 0.0) for task in of.tasks if needs(task).cards)
    return Schedule(ran=ran, cards=len(on.cards), useful_min=useful, chain_min=_chain(jobs, needed))


def _chain(jobs: Sequence[Job], needed: Callable[[Job], Needs]) -> float:
    """Return the time of the longest chain of jobs that wait for each other."""
    ends: dict[str, float] = {}

    def end(job: Any) -> float:
        if job.key not in ends:
            ends[job.key] = max(map(end, job.inputs.values()), default=0.0) + (needed(job).minutes or 0.0)
        return ends[job.key]

    return max(map(end, jobs))


def per_job(seed: int) -> Factor:
    """Return a straggler drawn once for each job."""
    return lambda start: 1 + STRAGGLER * random.Random(f"{seed} {start.job.key}").random()


def per_card(seed: int) -> Factor:
    """Return a straggler drawn once for each card; a job on several takes as long as on the slowest."""
    return lambda start: max(
        (1 + STRAGGLER * random.Random(f"{seed} {card}").random() for card in start.cards), default=1.0
    )


def drawn(of: Plan, on: Parallel, kind: Callable[[int], Factor], draws: int = DRAWS) -> list[float]:
    """Return the hours of some draws of the stragglers."""
    return [schedule(of, on, kind(seed)).hours for seed in range(draws)]


def rows(of: Plan, counts: Sequence[int] = range(1, 9), draws: int = DRAWS) -> Iterator[str]:
    """Yield a table of the run on different numbers of cards."""
    yield "| cards | hours | stragglers per job | stragglers per card | card-hours | busy | longest chain |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for count in counts:
        on = machine(count)
        alone = schedule(of, on)
        stragglers = [drawn(of, on, kind, draws) for kind in (per_job, per_card)]
        yield (
            f"| {count} | {alone.hours:.1f} | "
            + " | ".join(f"{mean(hours):.1f} ({max(hours):.1f})" for hours in stragglers)
            + f" | {alone.card_hours:.0f} | {alone.busy:.0%} | {alone.longest:.0%} |"
        )


def phases(of: Plan, on: Parallel) -> Iterator[str]:
    """Yield when the jobs of each stage ran, without stragglers."""
    yield "| stage | jobs | began, h | ended, h | card-hours |"
    yield "| --- | --- | --- | --- | --- |"
    by_stage: dict[str, list[Ran]] = {}
    for each in sorted(schedule(of, on).ran, key=lambda ran: ran.began):
        by_stage.setdefault(each.job.stage, []).append(each)
    for stage, ran in by_stage.items():
        began, ended = min(each.began for each in ran), max(each.ended for each in ran)
        held = sum((each.ended - each.began) * len(each.cards) for each in ran)
        hours = "-" if stage == "evaluate" else f"{held / 60:.1f}"
        yield f"| {stage} | {len(ran)} | {began / 60:.1f} | {ended / 60:.1f} | {hours} |"


def report() -> str:
    """Return the page."""
    own, cached = plan(), plan(("cache_latents", True))
    eight = machine(8)
    lines = [
        "# A large run on 1 to 8 cards, on paper",
        "",
        "**Projected from estimates, not measured.** ImageNet-1K at IPC 10, "
        f"{', '.join(METHODS)}, {len(SEEDS)} seeds, on NVIDIA H200 cards with {CORES} cores of a host each.",
        "Written by `python -m benchmarks.schedule --record`. What starts when is decided by the rule of",
        "the local scheduler; durations are those of `--dry-run`. Evaluations that share a card take turns.",
        "The time to load models and to exchange gradients is not counted. A straggler takes up to",
        f"{STRAGGLER:.0%} longer, drawn uniformly per job or per card: mean of {DRAWS} draws (worst).",
        "",
        "## As in the recipe",
        "",
        *rows(own),
        "",
        "Busy: what one card alone would have to compute, of all card-hours. Cards that wait for others, and",
        "the idle part of a fine-tuning whose batch of 32 the cards do not divide, are not busy. Longest",
        "chain: jobs that wait for each other, of the time without stragglers. Where it is short and the",
        "cards are busy, the work itself bounds the run.",
        "",
        "When its stages run on 8 cards:",
        "",
        *phases(own, eight),
        "",
        "## With stored latents",
        "",
        "`--set finetune.cache_latents=true` encodes each image and its mirror image once per fine-tuning",
        "instead of in every epoch; results differ by rounding to float16.",
        "",
        *rows(cached),
        "",
        "## Several fine-tunings side by side, on 8 cards",
        "",
        "| --gpus-per-finetune | hours | stragglers per job |",
        "| --- | --- | --- |",
    ]
    for count in (8, 4, 2, 1):
        on = machine(8, count)
        hours = drawn(own, on, per_job)
        lines.append(f"| {count} | {schedule(own, on).hours:.1f} | {mean(hours):.1f} ({max(hours):.1f}) |")
    reached = {name: mean(drawn(of, eight, per_job)) for name, of in (("recipe", own), ("cached", cached))}
    lines += [
        "",
        f"Target: at most {TARGET_H:.0f} h on 8 cards with stragglers per job. As in the recipe: "
        f"{reached['recipe']:.1f} h{_verdict(reached['recipe'])}; with stored latents: "
        f"{reached['cached']:.1f} h{_verdict(reached['cached'])}.",
    ]
    return "\n".join(lines) + "\n"


def _verdict(hours: float) -> str:
    return ", reached" if hours <= TARGET_H else ", missed"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    options = parser.parse_args()
    if options.record:
        REPORT.write_text(report(), encoding="utf-8")
    else:
        print(report(), end="")
