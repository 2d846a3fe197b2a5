"""SRe2L: noise, optimised until a teacher recognises it and its statistics fit (evaluation.md 5.2).

Yin, Xing & Shen, Squeeze, Recover and Relabel: Dataset Condensation at ImageNet Scale From A New Perspective,
NeurIPS 2023. A batch holds one image of each of up to a hundred classes; its loss is the teacher's
cross-entropy and the distance between the statistics of the batch and those in the batch-norm layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError
from uvlp.recipes.setting import setting

if TYPE_CHECKING:
    import numpy

    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput

REVISION = 1
TITLE = "SRe2L"
SOFT_LABELS = True
WHOLE = {"crop_scale": 1.0, "flip": False}  # of images of 32 px and less, as in SRe2L's CIFAR-100 script
PROFILES = {
    "small": {"iterations": 1000, **WHOLE},
    "tiny": {"iterations": 500, **WHOLE},
    "nano": {"iterations": 2, **WHOLE},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `sre2l`."""

    iterations: int = setting(4000, "updates of every batch", "evaluation.md 5.2", least=1)
    batch: int = setting(
        100, "images that are optimised together, one of each class", "SRe2L repository", least=1
    )
    lr: float = setting(
        0.25,
        "learning rate of Adam on the normalised pixels, falling by a cosine",
        "evaluation.md 5.2",
        least=0,
    )
    statistics: float = setting(
        0.01, "weight of the distances between batch-norm statistics", "evaluation.md 5.2", least=0
    )
    first_layer: float = setting(
        10.0, "further weight of the first batch-norm layer's", "evaluation.md 5.2", least=0
    )
    crop_scale: float = setting(
        0.08, "smallest area of the crop, one for the batch", "SRe2L repository", least=0.01, most=1
    )
    flip: bool = setting(True, "mirror half of the crops, where the evaluation does", "evaluation.md 5.2")
    roll: int = setting(
        32, "greatest roll at 224 px, scaled with the side: 4 at 32 px", "SRe2L repository", least=0
    )
    teacher: str = setting(
        "", "architecture of the teacher; empty: conv-D of the usual depth, resnet18 from 224 px on", "D-77"
    )


def teacher(settings: Settings, size_px: int) -> str:
    """The architecture that images are recovered from.

    Raises:
        UvlpError: no such architecture, or one without batch normalisation.
    """
    from uvlp.methods.algorithms.usual_teacher import teacher_of
    from uvlp.protocols.training.rded_networks import ARCHITECTURES, WITHOUT_BATCH_NORM

    network = teacher_of(settings.teacher, size_px)
    if network not in ARCHITECTURES or network in WITHOUT_BATCH_NORM:
        allowed = ", ".join(name for name in ARCHITECTURES if name not in WITHOUT_BATCH_NORM)
        raise UvlpError("sre2l.teacher: a network without batch normalisation", got=network, allowed=allowed)
    return network


def passes(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """Every image passes forward and backward in every iteration."""
    return {teacher(settings, size_px): 3.0 * settings.iterations * classes * ipc}


def held(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """One batch passes forward and backward."""
    from uvlp.recipes.workload import INVERSION

    return {teacher(settings, size_px): INVERSION * min(settings.batch, classes)}


def sample(
    inputs: MethodInput, settings: Settings, progress: Progress, done: int
) -> Iterator[tuple[list[int], numpy.ndarray]]:
    """The images of one batch after the other."""
    from uvlp.methods.algorithms.optimising.inversion import sample

    return sample(inputs, settings, progress, done)
