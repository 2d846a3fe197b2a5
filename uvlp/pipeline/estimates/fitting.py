"""What fits into a card's memory: each stage with its batch, or with that to which the run divides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uvlp.core.wording import byte_size
from uvlp.pipeline.estimates.cost import Cost

PUBLISHED_BATCH = 1
PUBLISHED_BYTES = 24 * 10**9
PUBLISHED = "diffusers' documentation of the training script, with gradient checkpointing"
"""The only stage of which a GPU memory is stated; the papers state none."""
GLAD = "the authors of GLaD name a GPU of 24 GB for their prior"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The GPU memory of one stage on a card.

    Attributes:
        stage: name of the stage.
        needed_bytes: with the batch of the recipe.
        batch: that batch; 0 if the run does not divide it.
        used_batch: the batch on this card, after halvings; 0 if not even one item fits.
        used_bytes: with that batch.
        largest: the largest batch that fits; 0 if the run does not divide it.
        single_bytes: with a batch of one.
    """

    stage: str
    needed_bytes: float
    batch: int
    used_batch: int
    used_bytes: float
    largest: int
    single_bytes: float

    @property
    def fits(self) -> bool:
        """Whether the stage can run on the card."""
        return self.used_batch > 0

    def line(self) -> str:
        """Say whether it fits, and with which batch."""
        needed, used, least = (
            byte_size(round(size)) for size in (self.needed_bytes, self.used_bytes, self.single_bytes)
        )
        if not self.fits:
            return f"{self.stage}: {least}{' with a batch of one' if self.batch else ''}, does not fit"
        if not self.batch:
            return f"{self.stage}: {needed}, fits"
        if self.used_batch == self.batch:
            return f"{self.stage}: {needed} with its batch of {self.batch}, fits; {self.largest} would"
        how = "in parts" if self.stage == "finetune" else "in batches"
        return f"{self.stage}: {used} {how} of {self.used_batch}, fits; its batch of {self.batch}: {needed}"


def of_stage(stage: str, costs: Iterable[Cost], memory_bytes: float) -> Fit | None:
    """Return how the artifact of a stage that needs most fits; None if none needs a card."""
    cost = max(costs, key=lambda each: each.gpu_bytes, default=None)
    if cost is None or cost.gpu_bytes <= 0:
        return None
    fixed = cost.gpu_bytes - cost.batch * cost.item_bytes
    largest = int(max(0.0, memory_bytes - fixed) // cost.item_bytes) if cost.item_bytes else 0
    used = cost.batch or int(cost.gpu_bytes <= memory_bytes)
    while cost.batch and used > largest:
        used //= 2
    return Fit(
        stage=stage,
        needed_bytes=cost.gpu_bytes,
        batch=cost.batch,
        used_batch=used,
        used_bytes=fixed + used * cost.item_bytes,
        largest=largest,
        single_bytes=fixed + min(1, cost.batch) * cost.item_bytes,
    )


def lines(fits: Sequence[Fit], memory_bytes: float) -> list[str]:
    """Return a line per stage, and how the memory compares with what was published."""
    if not fits:
        return []
    every = all(each.fits for each in fits)
    size = byte_size(round(memory_bytes))
    first = f"memory of a card, {size}: " + ("enough for every stage" if every else "not enough")
    return [first, *(f"  {each.line()}" for each in fits), *_published(fits)]


def _published(fits: Sequence[Fit]) -> list[str]:
    finetune = next((each for each in fits if each.stage == "finetune" and each.batch), None)
    if finetune is None:
        return [f"  published: no GPU memory of these stages; {GLAD}"]
    below = 1 - finetune.single_bytes / PUBLISHED_BYTES
    compared = f"{abs(below):.0%} {'below' if below >= 0 else 'above'} it"
    needed = byte_size(round(finetune.single_bytes))
    stated = f"{byte_size(PUBLISHED_BYTES)} for finetune at a batch of {PUBLISHED_BATCH} ({PUBLISHED})"
    return [f"  published: {stated}; here {needed}, {compared}; of the other stages none; {GLAD}"]
