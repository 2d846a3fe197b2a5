"""D4M: streamed mini-batch k-means of VAE latents, one label prompt per class (methods.md C).

No outlier step, no captions, no fine-tuning on captions as far as the profile allows (D-06). Every class's
last partial batch is fitted, where the reference fits only one class's (D-05, variant `reference-flush`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.core.errors import too_few_for_a_fit
from uvlp.recipes.schema import SynthesisSettings
from uvlp.recipes.setting import setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput

REVISION = 1
TITLE = "D4M"
FEATURES = ("images",)
VARIANTS = {"reference-flush": {"flush": "reference"}}
SYNTHESIS = SynthesisSettings(strength=0.7, guidance=8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `d4m`."""

    km_expand: int = setting(1, "latents per fit, as a multiple of IPC", "D4M ImageNet script", least=1)
    flush: str = setting(
        "all",
        "last partial batches: of `all` classes, or as in the `reference`",
        "D-05",
        choices=("all", "reference"),
    )
    clusterer_seed: int = setting(0, "random_state of MiniBatchKMeans", "methods.md C", least=0)
    order: str = setting(
        "file",
        "images are visited as the `file` names are listed, or as `published`",
        "methods.md A.1",
        choices=("file", "published"),
    )


def check(settings: Settings, ipc: int, counts: Sequence[int], last: int | None) -> None:
    """Refuse classes of which the reference fits nothing: it drops rests, of all but the class visited last.

    Args:
        counts: training images per class.
        last: index of the class whose image is visited last; None where it is not known.

    Raises:
        UvlpError: a class has fewer images than one fit takes.
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


def prototypes(inputs: MethodInput, settings: Settings, progress: Progress) -> list[ClassResult]:
    """Per class the centres of its latents, with the label-only prompt as text."""
    from uvlp.methods.algorithms.clustering.minibatch_kmeans import streamed_centres

    results = []
    for data in progress.track(inputs.classes):
        centres = streamed_centres(
            data.latents,
            clusters=inputs.ipc,
            km_expand=settings.km_expand,
            seed=settings.clusterer_seed,
            flush=settings.flush == "all" or data.index == inputs.last_visited,
            smallest_rest=1 if settings.flush == "all" else inputs.ipc,
        )
        results.append(_describe(data, centres))
    return results


def _describe(data: ClassData, centres: object) -> ClassResult:
    """The class's prototypes; the members of a centre are the latents nearest to it."""
    import numpy

    from uvlp.artifacts.prototypes import Prototype
    from uvlp.methods.algorithms.method_input import ClassResult

    assert isinstance(centres, numpy.ndarray)
    flat = data.latents.reshape(len(data.rows), -1).astype(numpy.float64)
    middle = centres.reshape(len(centres), -1)
    distances = (middle**2).sum(1) - 2 * flat @ middle.T
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
