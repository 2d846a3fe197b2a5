"""Herding: real images whose running mean follows the class mean (evaluation.md 5).

On CLIP image embeddings here (D-10); the published rows use features of a network trained on the
full set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvlp.blocks.problem import Problem
    from uvlp.core.progress import Progress

REVISION = 1
TITLE = "Herding"
FEATURES = ("clip",)
VARIANTS: dict[str, dict[str, object]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`herding` has no settings."""


def select(problem: Problem, settings: Settings, progress: Progress) -> list[list[int]]:
    """Rows of the chosen training images, per class in index order, in the order of picking."""
    from uvlp.blocks.coresets import herding

    chosen = []
    for data in progress.track(problem.classes):
        assert data.image is not None
        chosen.append([data.rows[index] for index in herding(data.image, problem.ipc)])
    return chosen
