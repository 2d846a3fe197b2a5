"""The jobs of a run as a dry run prints them: number, hours, time on several cards, arguments of `sbatch`."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from uvlp.core.wording import duration
from uvlp.launchers.jobs import sbatch
from uvlp.launchers.jobs.batches import Submission
from uvlp.launchers.jobs.grouping import Group
from uvlp.launchers.jobs.settings import Settings

CARDS = (1, 8, 64)


def lines(submission: Submission, settings: Settings) -> list[str]:
    """Return the lines about the jobs of a submission; times are estimates without waiting in the queue."""
    groups = submission.groups()
    if not groups:
        return ["jobs: none"]
    batches = list(submission.batches(groups))
    hours = [f"{submission.card_seconds(groups) / 3600:.1f} GPU-hours"] if settings.gpus else []
    without = submission.processor_seconds(groups) / 3600
    hours += [f"{without:.1f} hours without a GPU"] if without else []
    held = [submission.gpus_of(each) if settings.gpus else 1 for each in groups]
    largest = max(held)
    counts = [count for count in CARDS if count >= largest] or [largest]
    times = ", ".join(f"{count}: {duration(time_on(groups, held, count))}" for count in counts)
    what = "on so many GPUs" if settings.gpus else "jobs at once"
    arrays = sum(len(batch.names) > 1 for batch in batches)
    parts = sum("." in job.key for job in submission.work.jobs)
    calls_of_sbatch = [" ".join(sbatch.lines(settings, batch)) for batch in batches]
    artifacts = f"{len(submission.work.tasks)} artifacts ({parts} parts)"
    calls = f"{len(batches)} calls of sbatch ({arrays} arrays)"
    return [
        f"jobs: {len(groups)} for {artifacts}, {calls}; {' and '.join(hours)}",
        f"longest chain: {duration(time_on(groups, held, sum(held)))}; {what}, without a queue: {times}",
        *(f"{row}: sbatch {line}" for row, line in enumerate(calls_of_sbatch, 1)),
    ]


def time_on(groups: Sequence[Group], held: Sequence[int], cards: int) -> float:
    """Return the time of all jobs in seconds; of those that are ready, the first that fits starts.

    Args:
        groups: the jobs.
        held: number of cards of each, at most ``cards``; one without a card waits for none.
        cards: those of the cluster.
    """
    of_key = {task.key: row for row, each in enumerate(groups) for task in each.tasks}
    before = [{of_key[key] for key in each.needs if key in of_key} for each in groups]
    ends: dict[int, float] = {}
    waiting = list(range(len(groups)))
    running: list[tuple[float, int]] = []
    now, free = 0.0, cards
    while waiting or running:
        for row in [row for row in waiting if before[row] <= ends.keys()]:
            if held[row] <= free:
                free -= held[row]
                waiting.remove(row)
                heapq.heappush(running, (now + groups[row].seconds, row))
        now, row = heapq.heappop(running)
        free += held[row]
        ends[row] = now
    return now
