"""The README's table of cards: whether `imagenette` at IPC 10 fits, and how long it takes, projected.

python -m tools.card_table
"""

from __future__ import annotations

from uvlp.core.wording import byte_size, duration
from uvlp.datasets import imagenette
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.estimates.fitting import Fit
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import outline

CARDS = ("rtx-4090", "a100-40gb", "h200")
HEAD = ("| card | does it fit? | projected time |", "| --- | --- | --- |")


def lines() -> list[str]:
    """Return the table in Markdown."""
    return [*HEAD, *map(row, CARDS)]


def row(name: str) -> str:
    """Return the row of a card."""
    machine = cards.named(name)
    estimate = report.estimate(outline(check(imagenette.recipe(10))), machine, workers=1)
    divided = [fit for fit in estimate.fits if fit.fits and fit.used_batch < fit.batch]
    fits = "yes" if all(fit.fits for fit in estimate.fits) else "no"
    title = f"{byte_size(round(machine.memory_bytes))[:-5]} GB ({machine.name.removeprefix('NVIDIA ')})"
    what = "; ".join([fits, *map(_divided, divided)])
    return f"| {title} | {what} | {duration(estimate.seconds)} |"


def _divided(fit: Fit) -> str:
    return f"{fit.stage} {fit.used_batch} at a time instead of {fit.batch}"


if __name__ == "__main__":
    print("\n".join(lines()))
