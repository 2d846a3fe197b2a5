"""Differentiable siamese augmentation (Zhao & Bilen 2021, "Dataset Condensation with Differentiable Siamese
Augmentation"): the same random change of real and synthetic images, through which gradients flow.

Operations and ranges are those of the published code (github.com/VICO-UoE/DatasetCondensation, `utils.py`),
which IDC shares (github.com/snu-mllab/Efficient-Dataset-Condensation, `augment.py`). Like them it changes
*normalised* images: brightness is added in units of the standard deviation, and what crop, cutout, scale and
rotate uncover is 0, the mean colour.

Random numbers are drawn separately (`draw`), on the host: the same draws give the same change of any batch,
on any device. Every operation is linear in the pixels, and deterministic in both directions.

Legend: K, rows of draws: 1 for all images together, or one per image; S, side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from uvlp.models.device import send

OPERATIONS = ("colour", "crop", "cutout", "flip", "scale", "rotate")
BRIGHTNESS = 1.0  # width of the range of what is added
SATURATION = 2.0  # greatest factor of the distance from the grey image; the least is 0
CONTRAST = 0.5  # least factor of the distance from the image's mean; the greatest is 1 larger
CROP = 0.125  # greatest shift, as a share of the side
CUTOUT = 0.5  # side of the square that is set to 0, as a share of the image's
FLIP = 0.5  # probability
SCALE = 1.2  # greatest factor of each axis; the least is its inverse
ROTATION = 15.0  # degrees, either way

Change = Callable[[Tensor], Tensor]
"""Changes images [N,3,S,S] into others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of one call, for all operations, whichever are applied.

    Attributes:
        operations: names of the operations to be applied, first to last.
        brightness: float64 [K], what is added.
        saturation: float64 [K], factor of the distance from the grey image.
        contrast: float64 [K], factor of the distance from the image's mean.
        shift: int64 [K,2], rows and columns by which the crop is moved; positive: down, right.
        cutout: int64 [K,2], row and column of the middle of the square that is cut out.
        flip: bool [K].
        scale: float64 [K,2], source pixels per pixel of rows and columns.
        angle: float64 [K], radians, by which the point that is read is turned from the x to the y axis.
    """

    operations: tuple[str, ...]
    brightness: numpy.ndarray
    saturation: numpy.ndarray
    contrast: numpy.ndarray
    shift: numpy.ndarray
    cutout: numpy.ndarray
    flip: numpy.ndarray
    scale: numpy.ndarray
    angle: numpy.ndarray


def draw(
    generator: numpy.random.Generator,
    operations: Sequence[str],
    size_px: int,
    *,
    rows: int = 1,
    single: bool = False,
) -> Draws:
    """Draw the random numbers of one call of `augment`.

    Args:
        generator: best one of its own for every call, so that no draw depends on earlier ones.
        operations: names in `OPERATIONS`, first to last; may be empty.
        size_px: side of the images.
        rows: 1 for one change of the whole batch (siamese), or the number of images for one each.
        single: apply only one of the operations, chosen at random, the same for all images (DSA, DM);
            otherwise all of them, in their order (IDC).
    """
    unknown = set(operations) - set(OPERATIONS)
    assert not unknown, f"unknown operations {sorted(unknown)}"
    chosen = int(generator.integers(max(1, len(operations))))
    most_px, hole_px = _pixels(CROP, size_px), _pixels(CUTOUT, size_px)
    return Draws(
        operations=tuple(operations)[chosen : chosen + 1] if single else tuple(operations),
        brightness=generator.uniform(-BRIGHTNESS / 2, BRIGHTNESS / 2, rows),
        saturation=generator.uniform(0, SATURATION, rows),
        contrast=generator.uniform(CONTRAST, 1 + CONTRAST, rows),
        shift=generator.integers(-most_px, most_px, (rows, 2), endpoint=True),
        # An even side has its middle between two pixels, so it has one more position.
        cutout=generator.integers(0, size_px + 1 - hole_px % 2, (rows, 2)),
        flip=generator.random(rows) < FLIP,
        scale=generator.uniform(1 / SCALE, SCALE, (rows, 2)),
        angle=numpy.deg2rad(generator.uniform(-ROTATION, ROTATION, rows)),
    )


def augment(images: Tensor, draws: Draws) -> Tensor:
    """Apply the operations of ``draws`` to normalised images [N,3,S,S]; returns a new or the same tensor.

    Args:
        images: float, on any device.
        draws: drawn for images of this side, with 1 row or N.
    """
    return augment_alike([images], draws)[0]


def augment_alike(batches: Sequence[Tensor], draws: Draws) -> Sequence[Tensor]:
    """Apply the same operations to several batches, as `augment` does to one.

    What depends on the draws alone, such as the pixels that a rotation reads, is computed once.

    Args:
        batches: of one dtype, side and device, each with 1 row of draws or N.
        draws: see `augment`.
    """
    for images in batches:
        assert images.shape[2] == images.shape[3] and len(draws.flip) in (1, len(images)), (
            "square, 1 or N rows"
        )
    for operation in draws.operations:
        change = _CHANGES[operation](batches[0], draws)
        batches = [change(images) for images in batches]
    return batches


def _pixels(share: float, size_px: int) -> int:
    return int(size_px * share + 0.5)


def _on(values: numpy.ndarray, like: Tensor) -> Tensor:
    """Draws as float64, int64 or bool on the device of the images, [K, ..., 1, 1]."""
    return send(values, like.device)[..., None, None]


def _colour(like: Tensor, draws: Draws) -> Change:
    brightness, saturation, contrast = (
        _on(values[:, None], like).to(like.dtype)
        for values in (draws.brightness, draws.saturation, draws.contrast)
    )

    def change(images: Tensor) -> Tensor:
        images = images + brightness
        grey = images.mean(1, keepdim=True)
        images = (images - grey).mul_(saturation).add_(grey)
        mean = images.mean((1, 2, 3), keepdim=True)
        return (images - mean).mul_(contrast).add_(mean)

    return change


def _crop(like: Tensor, draws: Draws) -> Change:
    shift = _on(draws.shift, like)
    pixels = torch.arange(like.shape[2], device=like.device)
    return _read(like, pixels[:, None] + shift[:, 0], pixels + shift[:, 1])


def _cutout(like: Tensor, draws: Draws) -> Change:
    side_px = _pixels(CUTOUT, like.shape[2])
    first = _on(draws.cutout - side_px // 2, like)
    pixels = torch.arange(like.shape[2], device=like.device)
    inside = (pixels >= first[:, :, 0]) & (pixels < first[:, :, 0] + side_px)
    hole = inside[:, 0, :, None] & inside[:, 1, None, :]
    kept = (~hole)[:, None].to(like.dtype)
    return lambda images: images * kept


def _flip(like: Tensor, draws: Draws) -> Change:
    mirrored = _on(draws.flip[:, None], like)
    return lambda images: torch.where(mirrored, images.flip(3), images)


def _scale(like: Tensor, draws: Draws) -> Change:
    """Read bilinearly at scaled rows and columns; pixels outside the image are 0.

    Two products with matrices [K,S,S]: unlike torch's sampling, the gradient is deterministic on a GPU.
    """
    pixels = torch.arange(like.shape[2], dtype=torch.float64, device=like.device)
    middle = (like.shape[2] - 1) / 2
    places = (pixels[:, None] - middle) * _on(draws.scale, like) + middle
    weights = (1 - (places - pixels).abs()).clamp(min=0).to(like.dtype)
    rows, columns = weights[:, None, 0], weights[:, None, 1].transpose(2, 3)
    return lambda images: rows @ (images @ columns)


def _rotate(like: Tensor, draws: Draws) -> Change:
    """Read bilinearly at the turned coordinates; pixels outside the image are 0."""
    middle = (like.shape[2] - 1) / 2
    x = torch.arange(like.shape[2], dtype=torch.float64, device=like.device) - middle
    y = x[:, None]
    cosine, sine = (_on(function(draws.angle), like) for function in (numpy.cos, numpy.sin))
    rows, columns = sine * x + cosine * y + middle, cosine * x - sine * y + middle
    corners = [
        _read(like, row, column, (1 - (rows - row).abs()) * (1 - (columns - column).abs()))
        for row in (rows.floor(), rows.floor() + 1)
        for column in (columns.floor(), columns.floor() + 1)
    ]

    def change(images: Tensor) -> Tensor:
        first, *others = corners
        turned = first(images)
        for corner in others:
            turned.add_(corner(images))
        return turned

    return change


def _read(like: Tensor, rows: Tensor, columns: Tensor, weights: Tensor | None = None) -> Change:
    """Read the pixels at integer coordinates, which broadcast to [K,S,S], times ``weights`` [K,S,S].

    Pixels outside the image are 0.
    """
    last = like.shape[2] - 1
    inside = (rows >= 0) & (rows <= last) & (columns >= 0) & (columns <= last)
    factors = (inside if weights is None else inside * weights)[:, None].to(like.dtype)
    places = (rows.clamp(0, last) * (last + 1) + columns.clamp(0, last)).long().flatten(1)[:, None]

    def change(images: Tensor) -> Tensor:
        read = images.flatten(2).gather(2, places.expand(*images.shape[:2], -1))
        return read.view_as(images).mul_(factors)

    return change


_CHANGES = {
    "colour": _colour,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "scale": _scale,
    "rotate": _rotate,
}
