"""optimise: images, or latents of them, are optimised in iterations -> `distilled`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import made_entries
from uvlp.artifacts.work import Work
from uvlp.declarations.method import declared_method

if TYPE_CHECKING:
    from torch import Tensor


def run(work: Work) -> None:
    """Write `distilled` with the task's method.

    Raises:
        UvlpError: a loss or a value of an image is not finite, or an image is of one colour.
    """
    from uvlp.methods.algorithms.computing_input import computing_input
    from uvlp.methods.algorithms.optimising.optimisation import run as optimise
    from uvlp.models.quantise import quantise

    method = declared_method(work.task.facts["method"])
    assert method.optimise is not None, method.origin.file
    inputs = computing_input(work, method.origin.file)
    optimisation = method.optimise(inputs, work.task.settings, work.progress)
    optimise(method.title, optimisation, inputs.device, work.progress, work.partial)
    entries = made_entries(work.dataset().manifest.classes, inputs.ipc)
    made = optimisation.images().detach()
    shape = (len(entries), 3, inputs.size_px, inputs.size_px)
    _check(made, shape, method.origin.file)
    images = quantise(made.clamp(0, 1))
    distilled.check(entries, list(images))
    distilled.write(work.folder, entries, images, (images[row] for row in distilled.sheet_rows(entries)))
    clipped = int(((made < 0) | (made > 1)).sum())
    work.note({f"of {made.numel():,} pixel values outside [0, 1], clipped when stored as 8-bit PNG": clipped})


def _check(images: Tensor, shape: tuple[int, ...], file: str) -> None:
    """Check the images that the optimisation of the method in ``file`` returned."""
    from uvlp.core.errors import wrong_return

    if tuple(images.shape) != shape or not images.is_floating_point():
        wanted = f"a floating-point tensor {list(shape)}"
        raise wrong_return(file, "images", wanted, f"{images.dtype} {list(images.shape)}")
    if not bool(images.isfinite().all()):
        raise wrong_return(file, "images", "finite values", "NaN or infinity")
