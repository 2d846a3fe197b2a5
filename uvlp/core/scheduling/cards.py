"""The cards that a run may use, the workers on them, and a card that is lost while it computes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from uvlp.core import machine, nvidia
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.nvidia import MASK, Card
from uvlp.core.scheduling.rule import Layout
from uvlp.core.wording import first_few

TAKEN = 0.2
"""Share of a card's memory in use from which another program must be there; a desktop uses less."""
ENDS_THE_LIST = ("", "-1", "NoDevFiles")
"""Values after which CUDA_VISIBLE_DEVICES names no card on purpose."""
LOST = ("device lost", "gpu is lost", "has fallen off the bus")
"""What errors of CUDA say of a card that does not answer any more, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many processes and cards are asked for; None: chosen for this machine.

    Attributes:
        workers: worker processes.
        per_gpu: evaluations on one card.
        gpus_per_finetune: cards of one fine-tuning.
    """

    workers: int | None = None
    per_gpu: int | None = None
    gpus_per_finetune: int | None = None


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """The cards and worker processes of a run.

    Attributes:
        cards: the cards that it may use; empty: the processor.
        taken: visible cards that others use, each with the reason.
        shares: by card, the largest number of evaluations at once.
        workers: number of processes.
        per_finetune: cards of one fine-tuning.
        cores, host_bytes: of the machine, with cards; 0: not limited.
    """

    cards: tuple[Card, ...] = ()
    taken: tuple[tuple[Card, str], ...] = ()
    shares: tuple[int, ...] = ()
    workers: int = 1
    per_finetune: int = 0
    cores: int = 0
    host_bytes: float = 0.0

    @cached_property
    def layout(self) -> Layout:
        """The workers on their cards: one on each, then a second one, and so on."""
        if not self.cards:
            return Layout(workers=(None,) * self.workers)
        seats = [
            card for turn in range(max(self.shares)) for card, share in enumerate(self.shares) if turn < share
        ]
        more = [number % len(self.cards) for number in range(self.workers)]
        return Layout(
            shares=self.shares,
            workers=(*seats, *more)[: self.workers],
            cores=max(self.cores, self.workers) if self.cores else 0,
            host_bytes=self.host_bytes,
        )

    def on_processor(self) -> Parallel:
        """Return as many processes without cards, for what has to compute on the processor."""
        return Parallel(workers=self.workers)

    def lines(self) -> list[str]:
        """Return a line about the cards in use, if there are several, and one about those that are not."""
        found = []
        if len(self.cards) > 1:
            names = ", ".join(dict.fromkeys(card.name for card in self.cards))
            numbers = ", ".join(str(card.index) for card in self.cards)
            found.append(f"{len(self.cards)} GPUs: {numbers} ({names}); {self._fine_tuning()}")
        if self.taken:
            found.append(f"not used, taken by others: {_reasons(self.taken)}")
        return found

    def _fine_tuning(self) -> str:
        if self.per_finetune == len(self.cards):
            return "a fine-tuning takes all of them"
        return f"a fine-tuning takes {self.per_finetune}"


def parallel(asked: Asked) -> Parallel:
    """Look for free cards, and return how a run is spread over them.

    Raises:
        UvlpError: more is asked for than there is, or every card is taken.
    """
    visible = _visible()
    if not visible:
        _refuse_card_options(asked)
        return Parallel(workers=asked.workers or machine.default_workers())
    computing, own = nvidia.processes(), _ancestors()
    reasons = [(card, _taken(card, computing.get(card.uuid, []), own)) for card in visible]
    free = tuple(card for card, reason in reasons if not reason)
    taken = tuple((card, reason) for card, reason in reasons if reason)
    if not free:
        raise UvlpError(
            "every visible GPU is taken by other programs",
            got=_reasons(taken),
            fix=f"wait until one is free, or use the processor: {MASK}=",
        )
    shares = tuple(asked.per_gpu or machine.evaluations_on(card) for card in free)
    return Parallel(
        cards=free,
        taken=taken,
        shares=shares,
        workers=_workers(asked, shares),
        per_finetune=_per_finetune(asked, free),
        cores=machine.cores(),
        host_bytes=machine.memory_bytes(),
    )


def _visible() -> tuple[Card, ...]:
    """Return the cards that the environment leaves visible.

    Raises:
        UvlpError: it names a card that is not here.
    """
    present = () if nvidia.all_gpus_masked() else nvidia.devices()
    if not present:
        return ()
    visible, unknown = nvidia.masked(present)
    if unknown not in ENDS_THE_LIST:
        raise UvlpError(
            f"{MASK} names a GPU that is not here",
            got=unknown,
            allowed=", ".join(f"{card.index} or {card.uuid}" for card in present),
            fix="leave it out: nvidia-smi does not list it, or does not reach it any more",
        )
    return visible


def _refuse_card_options(asked: Asked) -> None:
    """Refuse options about cards on a machine without one."""
    for option, value in (("--per-gpu", asked.per_gpu), ("--gpus-per-finetune", asked.gpus_per_finetune)):
        if value is not None:
            raise UvlpError(f"{option} is for GPUs, and none is visible", got=value, fix="leave it out")


def _workers(asked: Asked, shares: Sequence[int]) -> int:
    """Return the number of processes: as many as evaluations run at once, at most one per core."""
    cores = machine.cores()
    if asked.workers is None:
        return max(1, min(sum(shares), cores))
    most = max(sum(shares), cores)
    if asked.workers > most:
        on = f"{len(shares)} GPU{'s' * (len(shares) > 1)} with {sum(shares)} evaluations at once"
        raise UvlpError(
            "--workers is more than this machine has",
            got=asked.workers,
            allowed=f"1 to {most}: {on}, {cores} cores",
            fix="leave it out, or raise --per-gpu too",
        )
    return asked.workers


def _per_finetune(asked: Asked, cards: Sequence[Card]) -> int:
    """Return the cards of one fine-tuning; its processes cannot exchange gradients between MIG devices."""
    most = 1 if any(card.uuid.startswith("MIG-") for card in cards) else len(cards)
    wanted = asked.gpus_per_finetune or most
    if wanted > most:
        raise UvlpError(
            "--gpus-per-finetune: more GPUs than can be used",
            got=wanted,
            allowed=f"1 to {most}",
            fix="leave it out to use all",
        )
    return wanted


def _taken(card: Card, computing: Sequence[int], own: set[int]) -> str:
    """Return how others use a card; empty if they do not."""
    others = sorted(set(computing) - own)
    if others:
        return f"process{'es' * (len(others) > 1)} {first_few([str(number) for number in others])}"
    if card.used_mib > TAKEN * card.total_mib > 0:
        return f"{card.used_mib:,} of {card.total_mib:,} MiB in use"
    return ""


def _reasons(taken: Sequence[tuple[Card, str]]) -> str:
    return "; ".join(f"GPU {card.index}: {reason}" for card, reason in taken)


def _ancestors() -> set[int]:
    """Return this process and those that started it: a notebook that runs `uvlp` is not somebody else."""
    found, number = set(), os.getpid()
    while number > 1 and number not in found:
        found.add(number)
        try:
            # The name in parentheses may contain spaces and parentheses.
            status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
            number = int(status.rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return found


def announce(parallel: Parallel) -> None:
    """Print which cards a run uses and which it does not."""
    for line in parallel.lines():
        messages.note(line)


def lost(cards: Sequence[Card], job: str, reason: str) -> UvlpError | None:
    """Return the error for a job whose card disappeared while it ran; None if all its cards are still there.

    Args:
        cards: of the job.
        job: its title.
        reason: what was raised.
    """
    here = {device.uuid for device in nvidia.devices()} if cards else set()
    gone = [card for card in cards if card.uuid not in here]
    if not gone and any(text in reason.lower() for text in LOST):
        gone = list(cards)
    if not gone:
        return None
    names = ", ".join(f"{card.title}, {card.uuid}" for card in gone)
    return UvlpError(
        f"{names} has disappeared while making {job}",
        got=reason,
        fix="finished artifacts are kept: re-run the command to resume on the other GPUs",
    )
