"""Herding: real images whose running mean follows the class mean (evaluation.md 5).

Uses CLIP image embeddings or, as published, features of a network trained on the full dataset (D-10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.setting import setting

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput

REVISION = 1
TITLE = "Herding"
FEATURES = ("images",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `herding`."""

    features: str = setting(
        "embedding",
        "`embedding`: CLIP image features; `network`: of a ResNetAP-10 trained on the full dataset",
        "evaluation.md 5, D-10",
        choices=("embedding", "network"),
    )


def features(settings: Settings) -> tuple[str, ...]:
    """The features that the settings select."""
    return ("network",) if settings.features == "network" else FEATURES


def select(inputs: MethodInput, settings: Settings, progress: Progress) -> list[list[int]]:
    """Rows of the selected training images, one list per class in index order, in selection order."""
    from uvlp.methods.algorithms.coresets import herding

    chosen = []
    for data in progress.track(inputs.classes):
        vectors = data.network if settings.features == "network" else data.image
        chosen.append([data.rows[index] for index in herding(vectors, inputs.ipc)])
    return chosen
