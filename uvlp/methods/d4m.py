"""D4M: streamed mini-batch k-means of VAE latents, one label prompt per class (methods.md C).

No outlier removal, no captions, no fine-tuning on captions as far as the profile allows (D-06). The last
partial batch of every class is fitted; the reference does so for one class only (D-05, variant
`reference-flush`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.core.errors import too_few_for_a_fit
from uvlp.recipes.schema import SynthesisSettings
from uvlp.recipes.setting import setting
from uvlp.recipes.variant import variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput

REVISION = 1
TITLE = "D4M"
FEATURES = ("images",)
VARIANTS = {
    "reference-flush": variant(
        "without the last partial batch of every class but the last visited", flush="reference"
    )
}
SYNTHESIS = SynthesisSettings(strength=0.7, guidance=8.0)
PER_CLASS = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `d4m`."""

    km_expand: int = setting(1, "latents per fit, as a multiple of IPC", "D4M ImageNet script", least=1)
    flush: str = setting(
        "all",
        "last partial batches are fitted for `all` classes, or as in the `reference`",
        "D-05",
        choices=("all", "reference"),
    )
    clusterer_seed: int = setting(0, "random_state of MiniBatchKMeans", "methods.md C", least=0)
    order: str = setting(
        "file",
        "order of the images: `file` (as listed) or `published`",
        "methods.md A.1",
        choices=("file", "published"),
    )


def check(settings: Settings, ipc: int, counts: Sequence[int], last: int | None) -> None:
    """Refuse classes that the reference never fits: it drops partial batches except for the last class.

    Args:
        counts: training images per class.
        last: index of the class of the last visited image; None if unknown.

    Raises:
        UvlpError: a class has fewer images than one batch.
    """
    if settings.flush == "all":
        return
    batch = settings.km_expand * ipc
    short = [index for index, count in enumerate(counts) if count < batch]
    if short and (len(short) > 1 or last not in (None, *short)):
        raise too_few_for_a_fit(counts[short[0]], batch)


def operations(images: float, ipc: int, width: int, latents: int) -> float:
    """Three passes of a streamed k-means over a class's latents (methods.md C)."""
    return 3 * 2 * images * ipc * latents


def prototypes(inputs: MethodInput, settings: Settings, progress: Progress) -> Iterator[ClassResult]:
    """Yield the cluster centres of each class's latents, with the label-only prompt as text."""
    from uvlp.methods.algorithms.clustering.minibatch_kmeans import streamed_centres

    for data in progress.track(inputs.classes):
        centres = streamed_centres(
            data.latents,
            clusters=inputs.ipc,
            km_expand=settings.km_expand,
            seed=settings.clusterer_seed,
            flush=settings.flush == "all" or data.index == inputs.last_visited,
            smallest_partial=1 if settings.flush == "all" else inputs.ipc,
        )
        yield _describe(data, centres)


def _describe(data: ClassData, centres: object) -> ClassResult:
    """The prototypes of a class; the members of a centre are its nearest latents."""
    import numpy

    from uvlp.artifacts.prototypes import Prototype
    from uvlp.methods.algorithms.method_input import ClassResult

    assert isinstance(centres, numpy.ndarray)
    flat = data.latents.reshape(len(data.rows), -1).astype(numpy.float64)
    flat_centres = centres.reshape(len(centres), -1)
    distances = (flat_centres**2).sum(1) - 2 * flat @ flat_centres.T
    nearest = distances.argmin(1)
    rows = numpy.asarray(data.rows)
    described = [
        Prototype(
            class_id=data.id,
            slot=slot,
            text=data.prompt,
            members=tuple(rows[nearest == slot].tolist()),
            latent_members=tuple(rows[nearest == slot].tolist()),
        )
        for slot in range(len(centres))
    ]
    return ClassResult(latents=centres.astype(numpy.float32), prototypes=described)
