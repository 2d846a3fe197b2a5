"""Random: real training images (evaluation.md 5, the first column of every table).

In the publications the "random" images are the first files of each class; `digits` and `folder` draw per
class from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.setting import setting
from uvlp.recipes.variant import variant

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput

REVISION = 1
TITLE = "Random"
VARIANTS = {"first": variant("without a draw: the first files in string order", select="first")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `random`."""

    select: str = setting(
        "seeded",
        "`seeded`: drawn from the seed; `first`: first files in string order",
        "D-09",
        choices=("seeded", "first"),
    )


def select(inputs: MethodInput, settings: Settings, progress: Progress) -> list[list[int]]:
    """Rows of the selected training images, one list per class in index order."""
    from uvlp.methods.algorithms.coresets import random_rows

    chosen = []
    for data in progress.track(inputs.classes):
        seeded = settings.select == "seeded"
        rows = random_rows(data, inputs.ipc, inputs.seed) if seeded else sorted(data.rows[: inputs.ipc])
        chosen.append(rows)
    return chosen
