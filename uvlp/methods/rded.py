"""RDED: mosaics of the crops of real images that a teacher recognises best (evaluation.md 3.6).

Sun, Shi, Yu & Lin, On the Diversity and Realism of Distilled Dataset: An Efficient Dataset Distillation
Paradigm, CVPR 2024. Of every image the crop with the least cross-entropy is kept, of every class the crops
with the least; each distilled image is made of factor x factor of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError
from uvlp.recipes.setting import setting

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput
    from uvlp.methods.algorithms.rded_sampling import Batch

REVISION = 1
TITLE = "RDED"
SOFT_LABELS = True
PROFILES = {"small": {"factor": 1}, "tiny": {"factor": 1}, "nano": {"factor": 1, "crops": 1}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `rded`."""

    factor: int = setting(
        2, "crops along a side of an image; one of 1 below 224 px", "evaluation.md 3.1", least=1
    )
    candidates: int = setting(
        300, "images per class that are scored, drawn from the seed", "evaluation.md 3.1", least=1
    )
    crops: int = setting(5, "random crops of each image", "evaluation.md 3.1", least=1)
    crop_scale: float = setting(
        0.08, "smallest area of a crop, as a share of the image", "evaluation.md 3.6", least=0.01, most=1
    )
    teacher: str = setting(
        "", "architecture of the teacher; empty: conv-D of the usual depth, resnet18 from 224 px on", "D-77"
    )


def teacher(settings: Settings, size_px: int) -> str:
    """The architecture that scores crops.

    Raises:
        UvlpError: no such architecture, or crops smaller than a pixel.
    """
    from uvlp.methods.algorithms.usual_teacher import teacher_of

    if settings.factor > size_px:
        what = f"crops along a side of an image of {size_px} px (method.rded.factor)"
        raise UvlpError(what, got=settings.factor, allowed=f"1 to {size_px}")
    return teacher_of(settings.teacher, size_px)


def check(settings: Settings, ipc: int, counts: Sequence[int], last: int | None) -> None:
    """Refuse fewer scored images than an image needs crops: all crops of a class are of different images."""
    needed, smallest = ipc * settings.factor**2, min(counts)
    if min(settings.candidates, smallest) >= needed:
        return
    crops = f"{ipc} x {settings.factor} x {settings.factor} crops of different images"
    if settings.candidates < needed:
        what = f"method.rded.candidates: images per class that are scored, for {crops}"
        raise UvlpError(what, got=settings.candidates, allowed=f"at least {needed}")
    fix = "lower the IPC" + (", or --set method.rded.factor=1" if settings.factor > 1 else "")
    what = f"RDED: training images of the smallest class, for {crops}"
    raise UvlpError(what, got=smallest, allowed=f"at least {needed}", fix=fix)


def passes(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """Every crop passes forward once."""
    scored = classes * min(settings.candidates, images / classes)
    return {teacher(settings, size_px): scored * settings.crops}


def held(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """All crops of some images pass forward at once."""
    from uvlp.recipes.workload import FORWARD, PIXELS_PER_PASS

    scored = min(settings.candidates, images / classes)
    each = min(scored, max(1, PIXELS_PER_PASS // (settings.crops * size_px**2)))
    return {teacher(settings, size_px): FORWARD * settings.crops * each}


def sample(inputs: MethodInput, settings: Settings, progress: Progress, done: int) -> Iterator[Batch]:
    """The images of one class after the other."""
    from uvlp.methods.algorithms.rded_sampling import sample

    return sample(inputs, settings, done)
