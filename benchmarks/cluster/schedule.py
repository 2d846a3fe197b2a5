"""A large run on paper: how long the local scheduler takes on 1 to 8 cards, and what bounds it.

    python -m benchmarks.cluster.schedule [--record]

The tasks are those of ImageNet-1K at IPC 10 with four methods and three seeds; the rule, the pieces and the
needs are those of a run (`core/scheduling`, `planning/spread`, `estimates/needs`), the durations those of the
estimates for an H200. A straggler takes up to a fifth longer: drawn uniformly, once per job or once per card.
Nothing is measured.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from uvlp.core.scheduling.cards import Asked, Parallel
from uvlp.core.scheduling.rule import Needs
from uvlp.core.scheduling.simulate import Ran
from uvlp.pipeline import names
from uvlp.pipeline.estimates import cards, needs as estimated
from uvlp.pipeline.estimates.together import Factor, cards_of, on_paper
from uvlp.pipeline.planning.spread import Job, of_job
from uvlp.pipeline.prepare import Plan, outline

REPORT = Path(__file__).resolve().parents[2] / "paper_tables" / "measured" / "benchmarks" / "schedule.md"
METHODS, SEEDS, IPC = ("random", "d4m", "vlcp", "uvlp"), (0, 1, 2), 10
CARD = "h200"
EVALUATIONS = 4
"""Evaluations at once per card."""
STRAGGLER = 0.2
DRAWS = 20
TARGET_H = 30.0


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


def machine(count: int, per_finetune: int = 0, evaluations: int = EVALUATIONS) -> Parallel:
    """Return ``count`` cards; a fine-tuning takes all, unless a number is given."""
    workers = max(2, evaluations) * count
    asked = Asked(workers=workers, per_gpu=evaluations, gpus_per_finetune=per_finetune or None)
    return cards_of(replace(cards.named(CARD), count=count), asked)


def schedule(of: Plan, on: Parallel, factor: Factor = lambda start: 1.0) -> Schedule:
    """Return the run of a plan; ``factor`` is how many times longer a job takes where it starts."""
    ran = on_paper(of, of.tasks, on, cards.named(CARD), factor)
    one_card = estimated.of_plan(of, cards.named(CARD))
    needs = estimated.on_machine(on, one_card)
    useful = sum((one_card[task.key].minutes or 0.0) for task in of.tasks if needs(task).cards)
    chain = _chain([each.job for each in ran], partial(of_job, needs=needs))
    return Schedule(ran=ran, cards=len(on.cards), useful_min=useful, chain_min=chain)


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
    yield "| cards | hours | stragglers per job | stragglers per card | GPU-hours | busy | longest chain |"
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
    yield "| stage | jobs | began, h | ended, h | GPU-hours |"
    yield "| --- | --- | --- | --- | --- |"
    by_stage: dict[str, list[Ran]] = {}
    for each in sorted(schedule(of, on).ran, key=lambda ran: ran.began):
        by_stage.setdefault(each.job.stage, []).append(each)
    for stage, ran in by_stage.items():
        began, ended = min(each.began for each in ran), max(each.ended for each in ran)
        held = sum((each.ended - each.began) * len(each.cards) for each in ran)
        hours = "-" if stage == "evaluate" else f"{held / 60:.1f}"
        yield f"| {stage} | {len(ran)} | {began / 60:.1f} | {ended / 60:.1f} | {hours} |"


def choices(of: Plan) -> Iterator[str]:
    """Yield a row per choice of ``--gpus-per-finetune`` and ``--per-gpu``, on 8 cards."""
    for per_finetune, evaluations in (
        (8, EVALUATIONS),
        (8, 1),
        *((each, EVALUATIONS) for each in (4, 2, 1)),
    ):
        on = machine(8, per_finetune, evaluations)
        hours = drawn(of, on, per_job)
        alone = schedule(of, on).hours
        yield f"| {per_finetune} | {evaluations} | {alone:.1f} | {mean(hours):.1f} ({max(hours):.1f}) |"


def verdicts(plans: Mapping[str, tuple[Plan, Parallel]]) -> Iterator[str]:
    """Yield a line per plan with its machine: mean hours, and how many draws miss the target."""
    for name, (of, on) in plans.items():
        hours = drawn(of, on, per_job)
        missed = sum(each > TARGET_H for each in hours)
        yield f"- {name}: {mean(hours):.2f} h; {missed} of {DRAWS} draws take longer"


def report() -> str:
    """Return the page."""
    own, uncached = plan(), plan(("cache_latents", False))
    eight = machine(8)
    lines = [
        "# A large run on 1 to 8 cards, on paper",
        "",
        "**Projected from estimates, not measured.** ImageNet-1K at IPC 10, "
        f"{', '.join(METHODS)}, {len(SEEDS)} seeds, on NVIDIA H200 cards with {cards.HOST_CORES} cores of a "
        "host each.",
        "Written by `python -m benchmarks.cluster.schedule --record`. What starts when follows the rule",
        "of the local scheduler; durations are those of `--dry-run`. Evaluations on one card take turns.",
        "The time to load models and to exchange gradients is not counted. A straggler takes up to",
        f"{STRAGGLER:.0%} longer, drawn uniformly per job or per card: mean of {DRAWS} draws (worst).",
        "",
        "## As in the recipe",
        "",
        *rows(own),
        "",
        "Busy: what one card alone would have to compute, of all GPU-hours. Cards that wait for others, and",
        "the idle part of a fine-tuning whose 128 images per update the cards do not divide, are not busy.",
        "Longest chain: jobs that wait for each other, of the time without stragglers. Where it is short and",
        "the cards are busy, the work itself bounds the run.",
        "",
        "When its stages run on 8 cards:",
        "",
        *phases(own, eight),
        "",
        "## Without stored latents",
        "",
        "`--set finetune.cache_latents=false` saves 168 GB of disk and encodes each image in every epoch of",
        "every fine-tuning, instead of each image and its mirror image once for all of them; results differ",
        "by rounding to float16.",
        "",
        *rows(uncached),
        "",
        "## Options, on 8 cards, as in the recipe",
        "",
        "| --gpus-per-finetune | --per-gpu | hours | stragglers per job |",
        "| --- | --- | --- | --- |",
        *choices(own),
        "",
        f"Target: at most {TARGET_H:.0f} h on 8 cards with stragglers per job, mean of {DRAWS} draws.",
        *verdicts(
            {
                "as in the recipe": (own, eight),
                "with `--per-gpu 1`": (own, machine(8, evaluations=1)),
                "without stored latents": (uncached, eight),
            }
        ),
    ]
    return "\n".join(lines) + "\n"


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
