"""A run on paper: the real plan of a dataset on 1, 8, 64 and 512 cards, by a discrete-event simulation.

    python -m benchmarks.cluster.cluster_simulation [--dataset NAME] [--card h100] [--draws 20] [--record]

The tasks are those of `uvlp reproduce DATASET 10 --seed 0,1,2`, their times those of the estimates, ordered,
divided and grouped as the launcher `slurm` does it. Drawn or assumed, and printed: stragglers, waiting in the
queue, lost nodes, all-reduce of a fine-tuning on several cards, and the efficiency of small batches per card.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import mean

from benchmarks.cluster import account, events, finetuning
from benchmarks.cluster.account import Account
from benchmarks.cluster.events import Conditions, Ran
from benchmarks.cluster.plans import DATASETS, Chosen, disk_bytes, jobs_of, plan_of
from uvlp.core.wording import byte_size
from uvlp.launchers.jobs.limits import CHECKPOINT_S, START_S
from uvlp.pipeline.estimates.cards import Machine, named
from uvlp.pipeline.estimates.cost import SINGLE

REPORT = (
    Path(__file__).resolve().parents[2] / "paper_tables" / "measured" / "benchmarks" / "cluster_simulation.md"
)
CHOSEN = {
    1: Chosen(finetune=1, node_gpus=8, job_minutes=30),
    8: Chosen(finetune=8, node_gpus=8, job_minutes=30),
    64: Chosen(finetune=20, node_gpus=4, job_minutes=5),
    512: Chosen(finetune=64, node_gpus=8, job_minutes=6),
}
"""Options by number of cards."""
SEEDS = {"imagenette": (3,), "imagenet1k": (1, 3), "imagenet21k": (3,)}
"""Numbers of distillation seeds by dataset."""
COLUMNS = (
    Conditions(),
    Conditions(per_card=True),
    Conditions(wait_s=1800.0),
    Conditions(bandwidth=50e9),
    Conditions(per_card=True, wait_s=1800.0, bandwidth=50e9),
    Conditions(hidden=False),
)
TARGETS_H = {"imagenet1k": {8: 30.0, 64: 6.0}}
USEFUL = 0.65
DETAILED = 64


def drawn(
    dataset: str, seeds: int, card: Machine, cards: int, conditions: Conditions, draws: int
) -> list[list[Ran]]:
    """Return some runs that differ in what is drawn."""
    jobs = jobs_of(plan_of(dataset, tuple(range(seeds))), card, CHOSEN[cards], conditions)
    return [events.run(jobs, cards, conditions, seed) for seed in range(draws)]


def rows(dataset: str, seeds: int, card: Machine, draws: int) -> Iterator[str]:
    """Yield a table with a row per number of cards, the verdicts, and where card-hours go."""
    yield "| cards | jobs | " + " | ".join(each.title for each in COLUMNS) + " |"
    yield "| --- " * (2 + len(COLUMNS)) + "|"
    verdicts: list[str] = []
    detail: list[list[Ran]] = []
    for cards in CHOSEN:
        of_columns = [drawn(dataset, seeds, card, cards, each, draws) for each in COLUMNS]
        first = of_columns[0]
        yield (
            f"| {cards} | {len(first[0]):,} | " + " | ".join(cell(runs, cards) for runs in of_columns) + " |"
        )
        verdicts += verdict(dataset, first, cards)
        detail = first if cards == DETAILED else detail
    yield ""
    if verdicts:
        yield "Targets, in the first column:"
        yield ""
        yield from verdicts
        yield ""
    yield f"On {DETAILED} cards in the first column, mean of the draws: hours, then card-hours."
    yield ""
    yield from accounts([account.of_stages(ran, DETAILED) for ran in detail])


def cell(runs: Sequence[Sequence[Ran]], cards: int) -> str:
    """Return mean and worst hours, useful share, and lost nodes."""
    hours = [account.total_s(ran) / account.HOUR for ran in runs]
    useful = mean(account.useful_share(ran, cards) for ran in runs)
    lost = mean(sum(each.losses for each in ran) for ran in runs)
    return f"{mean(hours):.1f} h ({max(hours):.1f}), {useful:.0%}, {lost:.1f} lost"


def verdict(dataset: str, runs: Sequence[Sequence[Ran]], cards: int) -> Iterator[str]:
    """Yield whether the targets are met, if there are some."""
    most = TARGETS_H.get(dataset, {}).get(cards)
    if most is None:
        return
    hours = mean(account.total_s(ran) for ran in runs) / account.HOUR
    line = f"- {cards} cards: at most {most:.0f} h: {hours:.2f} h, {'met' if hours <= most else 'missed'}"
    if cards == DETAILED:
        useful = mean(account.useful_share(ran, cards) for ran in runs)
        line += f"; useful at least {USEFUL:.0%}: {useful:.1%}, {'met' if useful >= USEFUL else 'missed'}"
    yield line


def accounts(of_draws: Sequence[dict[str, Account]]) -> Iterator[str]:
    """Yield a table with a row per stage, and the sums."""
    names = [each.name for each in fields(Account)]
    yield "| stage | " + " | ".join(names) + " |"
    yield "| --- " * (1 + len(names)) + "|"
    sums = dict.fromkeys(account.COLUMNS, 0.0)
    for stage in of_draws[0]:
        found = [draw[stage] for draw in of_draws if stage in draw]
        values = {name: mean(getattr(each, name) for each in found) for name in names}
        for name in sums:
            sums[name] += values[name]
        shown = [f"{values['jobs']:.0f}", *(f"{values[name]:.1f}" for name in names[1:])]
        yield f"| {stage} | " + " | ".join(shown) + " |"
    total = sum(sums.values())
    shares = [f"{sums[name]:.1f} ({sums[name] / total:.0%})" for name in account.COLUMNS]
    yield "| all | | | | " + " | ".join(shares) + " |"


def inputs(card: Machine, draws: int) -> Iterator[str]:
    """Yield the lines about what is assumed."""
    backward, half = finetuning.BACKWARD[True], finetuning.HALF_BATCH
    yield f"- card: {card.name} ({card.source}), {events.NODE_CARDS} in a node; times: the estimates of uvlp"
    yield (
        f"- stragglers: lognormal, median 1, sigma {events.STRAGGLER_SIGMA} (assumed); {draws} draws: mean "
        "(worst)"
    )
    yield (
        f"- lost nodes: one per {events.LOSS_HOURS:,.0f} card-hours; {CHECKPOINT_S:.0f} s of work are lost, "
        "or all of a job with a stage that keeps no parts"
    )
    yield f"- start of a job: {START_S:.0f} s"
    yield (
        f"- all-reduce: 2 x {SINGLE} bytes per parameter of the UNet, per update of 128 images, in the "
        f"backward pass of its last batch ({backward:.0%} of a step), as DistributedDataParallel does: only "
        "what is longer is added; in the last column all of it"
    )
    yield f"- speed with b images per card: b / (b + {half:g}) of the highest (assumed)"
    for cards, each in CHOSEN.items():
        yield (
            f"- {cards} cards: `--gpus-per-finetune {each.finetune} --set "
            f"launcher.node_gpus={each.node_gpus} --set launcher.job_minutes={each.job_minutes}`"
        )
    yield "- of the jobs that are ready, the first that fits starts; those without a card do not wait"
    yield ("- jobs beside the chain of a fine-tuning on several cards start after all of them (`after`)")
    yield (
        "- jobs of captions that are done make parts of slower ones, for at most as long as their own took; "
        "a part that is lost with its node is made again"
    )
    yield (
        "- useful: time on one card of each task that needs one, without stragglers, divided by cards x time"
    )


HEAD = """# A run on a cluster, on paper

**Projected, not measured.** `uvlp reproduce DATASET 10 --launcher slurm` with random, D4M, VLCP and UVLP, as
a discrete-event simulation. Written by `python -m benchmarks.cluster.cluster_simulation --record`. Inputs:
"""


def report(datasets: Sequence[str], card: Machine, draws: int) -> Iterator[str]:
    """Yield the lines of the page."""
    yield HEAD
    yield from inputs(card, draws)
    for dataset in datasets:
        for seeds in SEEDS[dataset]:
            plan = plan_of(dataset, tuple(range(seeds)))
            assert plan.size is not None
            yield ""
            yield f"## {dataset}, {seeds} seed{'s' * (seeds > 1)}"
            yield ""
            yield (
                f"{plan.size.classes:,} classes, {plan.size.train:,} images, 10 images per class; disk "
                f"without downloads: {byte_size(int(disk_bytes(plan, card)))}."
            )
            yield ""
            yield from rows(dataset, seeds, card, draws)


def main() -> None:
    """Print or record the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset", choices=DATASETS, action="append")
    parser.add_argument("--card", default="h100")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    arguments = parser.parse_args()
    lines = report(arguments.dataset or DATASETS, named(arguments.card), arguments.draws)
    if arguments.record:
        REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
