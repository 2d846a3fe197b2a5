"""Where the card-hours of a run on paper go: useful work, waste within jobs, and idle cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cluster.events import Job, Ran
from uvlp.launchers.jobs.limits import START_S

HOUR = 3600.0


@dataclass(slots=True)
class Account:
    """Card-hours of a stage; they add up to those of the run over all stages.

    Attributes:
        jobs: their number.
        began, ended: hours from the start of the run on.
        useful: what one card alone would take for what they compute, without stragglers.
        batches: more than that on several cards: small batches, and cards with fewer images than others.
        exchange: in which cards wait for gradients.
        stragglers: on slow cards beyond the estimate, less those that fast ones save.
        lost: repeated after a node was lost.
        starting: to start processes.
        host: held by work of the processor.
        idle: of all other cards, while most of the busy cards were this stage's.
    """

    jobs: int = 0
    began: float = float("inf")
    ended: float = 0.0
    useful: float = 0.0
    batches: float = 0.0
    exchange: float = 0.0
    stragglers: float = 0.0
    lost: float = 0.0
    starting: float = 0.0
    host: float = 0.0
    idle: float = 0.0


COLUMNS = ("useful", "batches", "exchange", "stragglers", "lost", "starting", "host", "idle")


def total_s(ran: Sequence[Ran]) -> float:
    """Return the time of a run."""
    return max(each.ended for each in ran)


def useful_share(ran: Sequence[Ran], cards: int) -> float:
    """Return useful card-hours of (cards x time)."""
    return sum(each.job.useful_s for each in ran) / (cards * total_s(ran))


def of_stages(ran: Sequence[Ran], cards: int) -> dict[str, Account]:
    """Return the account of each stage, in the order in which they begin."""
    found: dict[str, Account] = {}
    for each in sorted(ran, key=lambda one: one.began):
        job, to = each.job, found.setdefault(each.job.stage, Account())
        to.jobs += 1
        to.began = min(to.began, each.began / HOUR)
        to.ended = max(to.ended, each.ended / HOUR)
        for name, seconds in _parts(job):
            setattr(to, name, getattr(to, name) + seconds / HOUR)
        to.stragglers += each.straggled_s * job.cards / HOUR
        to.lost += each.lost_s * job.cards / HOUR
        to.starting += START_S * job.cards / HOUR
    for stage, seconds in _idle(ran, cards):
        found[stage].idle += seconds / HOUR
    return found


def _parts(job: Job) -> Iterator[tuple[str, float]]:
    held = job.seconds * job.cards
    exchange = job.exchange_s * job.cards
    yield "useful", job.useful_s
    yield "exchange", exchange
    yield "batches" if job.cards > 1 else "host", held - job.useful_s - exchange


def _idle(ran: Sequence[Ran], cards: int) -> Iterator[tuple[str, float]]:
    """Yield idle card-seconds between events, with the stage that holds most cards then."""
    events = sorted(
        [(each.began, each.job.stage, each.job.cards) for each in ran]
        + [(each.ended, each.job.stage, -each.job.cards) for each in ran]
    )
    busy: dict[str, int] = {}
    last, stage = 0.0, events[0][1]
    for at, changed, count in events:
        if at > last:
            yield stage, (at - last) * (cards - sum(busy.values()))
        busy[changed] = busy.get(changed, 0) + count
        last = at
        stage = max(busy, key=lambda name: busy[name]) if any(busy.values()) else changed
