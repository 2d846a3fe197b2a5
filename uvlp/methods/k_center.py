"""K-Center: greedy farthest-point selection per class (evaluation.md 5).

The sources specify neither the features nor the first pick. Here the first pick is the image nearest to the
class mean, in CLIP image embeddings or features of a network trained on the full dataset (D-10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.setting import setting

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput

REVISION = 1
TITLE = "K-Center"
FEATURES = ("images",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `k-center`."""

    features: str = setting(
        "embedding",
        "`embedding`: CLIP image features; `network`: of a ResNetAP-10 trained on the full dataset",
        "evaluation.md 5, D-10",
        choices=("embedding", "network"),
    )
    first: str = setting(
        "mean",
        "first pick: nearest to the class `mean`, or `index0`",
        "evaluation.md 5",
        choices=("mean", "index0"),
    )


def features(settings: Settings) -> tuple[str, ...]:
    """The features that the settings select."""
    return ("network",) if settings.features == "network" else FEATURES


def select(inputs: MethodInput, settings: Settings, progress: Progress) -> list[list[int]]:
    """Rows of the selected training images, one list per class in index order, in selection order."""
    from uvlp.methods.algorithms.coresets import k_center

    chosen = []
    for data in progress.track(inputs.classes):
        vectors = data.network if settings.features == "network" else data.image
        picked = k_center(vectors, inputs.ipc, first="index0" if settings.first == "index0" else "mean")
        chosen.append([data.rows[index] for index in picked])
    return chosen
