"""A run on paper: the real plan of a dataset on 1, 8, 64 and 512 cards, by a discrete-event simulation.

    python -m benchmarks.cluster.cluster_simulation [--dataset imagenet1k] [--card h100] [--seed 0]

The tasks are those of `uvlp reproduce DATASET 10`, their times those of the estimates, divided and grouped as
the launcher `slurm` does it. Drawn or assumed, and printed: stragglers, waiting in the queue, lost nodes,
all-reduce of a fine-tuning on several cards, and the efficiency of small batches per card.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from uvlp.core.wording import duration
from uvlp.launchers.jobs.grouping import Group, group
from uvlp.launchers.jobs.limits import CHECKPOINT_S, RESUMED, START_S
from uvlp.launchers.jobs.settings import Settings
from uvlp.pipeline import names
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.cards import Machine, named
from uvlp.pipeline.estimates.cost import SINGLE
from uvlp.pipeline.estimates.needs import of_plan
from uvlp.pipeline.planning.pieces import divided
from uvlp.pipeline.prepare import Plan, outline
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.requests.request import Request

DATASETS = ("imagenette", "imagenet1k", "imagenet21k")
LARGE = DatasetSize(
    classes=21_841, train=14_197_122, val=0, exact=False, source="ImageNet, winter 2011: 21,841 classes"
)
CARDS = (1, 8, 64, 512)
FINETUNE_CARDS = {1: 1, 8: 8, 64: 32, 512: 64}
"""Cards of one fine-tuning, by cards of the run."""
STRAGGLER_SIGMA = 0.15
LOSS_HOURS = 1000.0
HALF_BATCH = 2.0
"""Images per card at which a step is half as fast per image as with large batches."""
TARGETS_H = {8: 30.0, 64: 6.0}
USEFUL = 0.65


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What one column assumes.

    Attributes:
        per_card: a straggler is drawn for every card of a job, and the slowest decides; else once per job.
        wait_s: time of every job in the queue.
        bandwidth: of an all-reduce, bytes per second.
    """

    per_card: bool = False
    wait_s: float = 0.0
    bandwidth: float = 200e9

    @property
    def title(self) -> str:
        """Words for a line of the table."""
        draw = "per card" if self.per_card else "per job"
        return f"{draw}, wait {self.wait_s / 60:.0f} min, {self.bandwidth / 1e9:.0f} GB/s"


COLUMNS = (
    Conditions(),
    Conditions(per_card=True),
    Conditions(wait_s=1800.0),
    Conditions(bandwidth=50e9),
    Conditions(per_card=True, wait_s=1800.0, bandwidth=50e9),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Time of a run in seconds, and the number of nodes lost."""

    seconds: float
    lost: int


def plan_of(dataset: str) -> Plan:
    """Return the plan of `uvlp reproduce DATASET 10` on a machine that has nothing yet."""
    known = "imagenet1k" if dataset == "imagenet21k" else dataset
    request = Request(dataset=known, ipc=10)
    plan = outline(names.check(resolve(request), None))
    return replace(plan, size=LARGE) if dataset == "imagenet21k" else plan


def times_of(plan: Plan, card: Machine, finetune_cards: int, bandwidth: float) -> dict[str, float]:
    """Return the time of each task in seconds, of a fine-tuning on several cards."""
    seconds = {key: 60.0 * (needs.minutes or 0.0) for key, needs in of_plan(plan, card).items()}
    for task in plan.tasks:
        if task.stage == "finetune" and task.plugin == "stable-diffusion":
            images = task.settings.batch * task.settings.accumulation
            updates = task.settings.epochs * math.ceil(_images(plan) / images)
            alone = seconds[task.key]
            speed = finetune_cards * efficiency(images / finetune_cards) / efficiency(images)
            exchange = updates * 2 * SINGLE * PUBLISHED["parameters"]["unet"] / bandwidth
            seconds[task.key] = alone / speed + (exchange if finetune_cards > 1 else 0.0)
    return seconds


def _images(plan: Plan) -> int:
    assert plan.size is not None
    return plan.size.train


def efficiency(images: float) -> float:
    """Return the speed per image with a batch of so many images per card, as a share of the highest."""
    return images / (images + HALF_BATCH)


def cards_of(each: Group, finetune_cards: int) -> int:
    """Return the cards of a job."""
    return max(finetune_cards if task.stage == "finetune" else 1 for task in each.tasks)


def simulate(
    groups: Sequence[Group], cards: int, finetune_cards: int, conditions: Conditions, seed: int
) -> Outcome:
    """Return the outcome of all jobs on ``cards`` cards; the first that fits starts."""
    draws = random.Random(seed)
    of_key = {task.key: row for row, each in enumerate(groups) for task in each.tasks}
    before = [{of_key[key] for key in each.needs if key in of_key} for each in groups]
    wanted = [min(cards, cards_of(each, finetune_cards)) for each in groups]
    waiting = list(range(len(groups)))
    running: list[tuple[float, int]] = []
    ready_at: dict[int, float] = {}
    done: set[int] = set()
    now, free, lost = 0.0, cards, 0
    while waiting or running:
        for row in [row for row in waiting if before[row] <= done]:
            ready_at.setdefault(row, now + conditions.wait_s)
            if ready_at[row] <= now and wanted[row] <= free:
                waiting.remove(row)
                free -= wanted[row]
                seconds, losses = _with_losses(groups[row], wanted[row], conditions, draws)
                lost += losses
                heapq.heappush(running, (now + seconds, row))
        later = [at for row, at in ready_at.items() if row in waiting and at > now]
        if later and (not running or min(later) < running[0][0]):
            now = min(later)
            continue
        now, row = heapq.heappop(running)
        done.add(row)
        free += wanted[row]
    return Outcome(seconds=now, lost=lost)


def _with_losses(each: Group, cards: int, conditions: Conditions, draws: random.Random) -> tuple[float, int]:
    """Return the time of a job with its straggler and its lost nodes, and the number of those."""
    factors = [draws.lognormvariate(0.0, STRAGGLER_SIGMA) for _ in range(cards if conditions.per_card else 1)]
    left, total, losses = each.seconds * max(factors), START_S, 0
    while True:
        until = draws.expovariate(cards / (LOSS_HOURS * 3600))
        if until >= left:
            return total + left, losses
        losses += 1
        resumed = all(task.stage in RESUMED for task in each.tasks)
        kept = max(0.0, until - CHECKPOINT_S) if resumed else 0.0
        total += until + START_S + conditions.wait_s
        left -= kept


def jobs_of(plan: Plan, seconds: Mapping[str, float]) -> list[Group]:
    """Return the jobs of a plan as the launcher makes them."""
    least_s = 60.0 * Settings().job_minutes
    known = dict(seconds)
    return group(divided(plan.tasks, known, least_s), known, least_s)


def lines_of(dataset: str, card: Machine, seed: int) -> list[str]:
    """Return the lines about a dataset: one per number of cards and conditions."""
    plan = plan_of(dataset)
    assert plan.size is not None
    alone = sum(times_of(plan, card, 1, COLUMNS[0].bandwidth).values())
    lines = [f"{dataset}: {plan.size.classes:,} classes, {plan.size.train:,} images, 10 images per class"]
    for cards in CARDS:
        for conditions in COLUMNS:
            finetune_cards = FINETUNE_CARDS[cards]
            groups = jobs_of(plan, times_of(plan, card, finetune_cards, conditions.bandwidth))
            found = simulate(groups, cards, finetune_cards, conditions, seed)
            share = alone / (cards * found.seconds)
            lines.append(
                f"  {cards:>3} cards, {conditions.title:<32} {len(groups):>5} jobs "
                f"{duration(found.seconds):>9}  useful {100 * share:>3.0f} %  nodes lost {found.lost}"
                + _verdict(cards, conditions, found.seconds, share)
            )
    return lines


def _verdict(cards: int, conditions: Conditions, seconds: float, share: float) -> str:
    """Return whether the target is met, for the column that has one."""
    if conditions != COLUMNS[0] or cards not in TARGETS_H:
        return ""
    met = seconds <= 3600 * TARGETS_H[cards] and (cards != 64 or share >= USEFUL)
    useful = f", useful {100 * USEFUL:.0f} %" if cards == 64 else ""
    return f"  target {TARGETS_H[cards]:.0f} h{useful}: {'met' if met else 'missed'}"


def inputs(card: Machine) -> list[str]:
    """Return the lines about what is assumed."""
    shared = ", ".join(f"{few} of {cards}" for cards, few in FINETUNE_CARDS.items())
    return [
        f"card: {card.name} ({card.source}); times are the estimates of uvlp, projected, not measured",
        f"stragglers: lognormal, median 1, sigma {STRAGGLER_SIGMA} (assumed)",
        f"lost nodes: one per {LOSS_HOURS:,.0f} card-hours; {CHECKPOINT_S:.0f} s of work are lost, or all of "
        "a job with a stage that keeps no parts",
        f"start of a job: {START_S:.0f} s; all-reduce: 2 x {SINGLE} bytes per parameter of the UNet",
        f"efficiency of b images per card: b / (b + {HALF_BATCH:g}) (assumed)",
        f"cards of one fine-tuning: {shared}",
        "useful: card-hours of the tasks on one card each / (cards x time)",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset", choices=DATASETS, action="append")
    parser.add_argument("--card", default="h100")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    card = named(arguments.card)
    print("\n".join(inputs(card)))
    for dataset in arguments.dataset or DATASETS:
        print("\n".join(lines_of(dataset, card, arguments.seed)))


if __name__ == "__main__":
    main()
