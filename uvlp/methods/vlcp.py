"""VLCP: k-means of VAE latents, with the caption that contains a cluster's most typical words (methods.md B).

The image prototype is the mean latent of all members; the text is not truncated for the diffusion model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.schema import SynthesisSettings
from uvlp.recipes.setting import setting
from uvlp.recipes.variant import variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput

REVISION = 1
TITLE = "VLCP"
FEATURES = ("images",)
VARIANTS = {"no-outliers": variant("without the removal of outliers", contamination=0.0)}
SYNTHESIS = SynthesisSettings(strength=0.7, guidance=10.0)
CAPTIONS = True
FINETUNED = True
LONG_PROMPTS = True
PER_CLASS = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `vlcp`."""

    contamination: float = setting(
        0.1, "share of outliers removed; 0: none", "VLCP README", least=0, most=0.5
    )
    threshold: float = setting(
        0.7,
        "words in at least this share of a class's captions are dropped",
        "VLCP run_nette.sh",
        least=0,
    )
    top_words: int = setting(30, "typical words per cluster", "VLCP run_nette.sh", least=1)
    order: str = setting(
        "file",
        "order of the images: `file` (as listed) or `published`",
        "methods.md A.1",
        choices=("file", "published"),
    )


def operations(images: float, ipc: int, width: int, latents: int) -> float:
    """Outlier removal and k-means of a class's latents (methods.md B.4)."""
    return 2 * images**2 * latents + 10 * 30 * 2 * images * ipc * latents


def prototypes(inputs: MethodInput, settings: Settings, progress: Progress) -> Iterator[ClassResult]:
    """Yield the cluster centres of each class's latents with one caption each, in cluster order.

    Raises:
        UvlpError: a class has fewer images than IPC.
    """
    for data in progress.track(inputs.classes):
        yield _one_class(inputs, data, settings)


def _one_class(inputs: MethodInput, data: ClassData, settings: Settings) -> ClassResult:
    import numpy

    from uvlp.artifacts.prototypes import Prototype
    from uvlp.methods.algorithms.clustering.latent_kmeans import latent_clusters
    from uvlp.methods.algorithms.method_input import ClassResult
    from uvlp.methods.algorithms.typical_captions import choose

    # The reference stores latents in half precision before it clusters them.
    clusters = latent_clusters(
        data.latents.astype(numpy.float16), inputs.ipc, settings.contamination, inputs.seed
    )
    kept = numpy.flatnonzero(clusters.inliers)
    texts = choose(
        [data.captions[index] for index in kept],
        clusters.labels.tolist(),
        data.synonyms,
        settings.threshold,
        settings.top_words,
        inputs.ipc,
    )
    described = []
    for slot, text in enumerate(texts):
        members = tuple(data.rows[index] for index in kept[clusters.labels == slot])
        details = {"score": text.score, "words": [list(word) for word in text.words]}
        described.append(
            Prototype(
                class_id=data.id,
                slot=slot,
                text=text.text,
                members=members,
                latent_members=members,
                details=details,
            )
        )
    notes = {
        "outliers left out": int((~clusters.inliers).sum()),
        "empty texts, because no caption scored": sum(not text.text for text in texts),
    }
    return ClassResult(latents=clusters.centres.astype(numpy.float32), prototypes=described, notes=notes)
