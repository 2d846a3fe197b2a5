"""Training augmentation of the Minimax protocol for whole batches (evaluation.md 1.5, 7).

Every step is linear in the pixels, so a batch costs two small matrix products for crop and flip, and one
mean and one product with a 3x3 matrix per image for colours, lighting and normalisation together.
Random numbers are drawn separately (`draw`), one row per image.

Legend: alpha of the jitter: x <- (1 - alpha) x + alpha target; lum: luminance;
p, q, r: the jittered pixel is p x + q lum(x) + r mean(lum(x)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from uvlp.models.device import send
from uvlp.protocols.training.random_crop import draw_boxes, separable

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LUMINANCE = (0.299, 0.587, 0.114)
LIGHTING_VALUES = (0.2175, 0.0188, 0.0045)
LIGHTING_VECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)
BRIGHTNESS, CONTRAST, SATURATION = range(3)
PIXELS_PER_CALL = {"cpu": 1 << 20, "gpu": 1 << 23}  # on a GPU 167 images of 224 px


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of N images, float64 unless stated.

    Attributes:
        box: int64 [N,4], top, left, height and width of the crop in pixels.
        flip: bool [N].
        order: int64 [N,3], permutation of brightness 0, contrast 1, saturation 2, first to last.
        jitter: [N,3], alpha of brightness, contrast, saturation.
        lighting: [N,3], the three coefficients of the PCA lighting.
    """

    box: numpy.ndarray
    flip: numpy.ndarray
    order: numpy.ndarray
    jitter: numpy.ndarray
    lighting: numpy.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """`Draws` as the tensors that `augment` multiplies with, one row per image.

    Attributes:
        rows, columns: [N,S], source coordinate of every output row and column.
        mixing: [N,3,3], colour matrix.
        grey: [N,3,3], contribution of the image's mean colour (contrast).
        offset: [N,3], constant.
    """

    rows: Tensor
    columns: Tensor
    mixing: Tensor
    grey: Tensor
    offset: Tensor

    def select(self, indices: slice | Tensor) -> Augmentation:
        """Return the rows of the images at ``indices``."""
        return Augmentation(
            rows=self.rows[indices],
            columns=self.columns[indices],
            mixing=self.mixing[indices],
            grey=self.grey[indices],
            offset=self.offset[indices],
        )


def draw(
    generator: numpy.random.Generator,
    count: int,
    size_px: int,
    *,
    crop_scale: float,
    flip: float,
    jitter: float,
    lighting: float,
) -> Draws:
    """Independent draws for ``count`` images of side ``size_px`` (evaluation.md 1.5, steps 4 to 7)."""
    sides = numpy.full(count, size_px)
    return Draws(
        box=draw_boxes(generator, sides, sides, crop_scale),
        flip=generator.random(count) < flip,
        order=generator.permuted(numpy.tile(numpy.arange(3), (count, 1)), axis=1),
        jitter=generator.uniform(-jitter, jitter, (count, 3)),
        lighting=generator.normal(0.0, lighting, (count, 3)),
    )


def coordinates(start: numpy.ndarray, length: numpy.ndarray, size_px: int) -> numpy.ndarray:
    """Return float64 [N,size_px]: source coordinates of a bilinear resize of [start, start+length).

    Half-pixel centres, clamped to the crop, so that no pixel outside it is read.
    """
    centres = (numpy.arange(size_px) + 0.5) * (length[:, None] / size_px) - 0.5
    return start[:, None] + numpy.clip(centres, 0.0, length[:, None] - 1.0)


def jitter_terms(order: numpy.ndarray, alphas: numpy.ndarray) -> numpy.ndarray:
    """Return float64 [N,3]: p, q, r of the three operations, applied in ``order``.

    Args:
        order: int [N,K], operations first to last.
        alphas: [N,3] of brightness, contrast, saturation.
    """
    p, q, r = numpy.ones(len(order)), numpy.zeros(len(order)), numpy.zeros(len(order))
    for operation in order.T:
        alpha = alphas[numpy.arange(len(order)), operation]
        contrast = numpy.where(operation == CONTRAST, alpha * (p + q + r), 0.0)
        saturation = numpy.where(operation == SATURATION, alpha * (p + q), 0.0)
        keep = 1.0 - alpha
        # Saturation preserves the luminance, and therefore every constant.
        p, q = keep * p, keep * q + saturation
        r = numpy.where(operation == SATURATION, r, keep * r + contrast)
    return numpy.stack((p, q, r), axis=1)


def lighting_shift(coefficients: numpy.ndarray) -> numpy.ndarray:
    """Return float64 [N,3]: the shift of red, green and blue by PCA lighting."""
    return (coefficients * LIGHTING_VALUES) @ numpy.asarray(LIGHTING_VECTORS).T


def prepare(
    draws: Draws, size_px: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Augmentation:
    """Convert ``draws`` to tensors for images of side ``size_px``."""
    top, left, height, width = draws.box.T
    columns = coordinates(left, width, size_px)
    columns = numpy.where(draws.flip[:, None], columns[:, ::-1], columns)
    p, q, r = jitter_terms(draws.order, draws.jitter).T
    std = numpy.asarray(STD)
    mixing = p[:, None, None] * numpy.eye(3) + q[:, None, None] * numpy.asarray(LUMINANCE)
    shift = lighting_shift(draws.lighting) - numpy.asarray(MEAN)
    tensors = {
        "rows": coordinates(top, height, size_px),
        "columns": columns,
        "mixing": mixing / std[:, None],
        "grey": r[:, None, None] * numpy.asarray(LUMINANCE) / std[:, None],
        "offset": shift / std,
    }
    return Augmentation(**{name: send(array, device, dtype) for name, array in tensors.items()})


def images_per_call(batch: int, size_px: int, device: str) -> int:
    """Return how many images to augment at once: one or more complete batches; only speed depends on it."""
    pixels = PIXELS_PER_CALL["cpu" if device == "cpu" else "gpu"]
    return batch * max(1, pixels // (batch * size_px**2))


def augment(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Augment and normalise images.

    Args:
        images: [N,3,S,S] in [0,1].
        augmentation: N rows in the dtype and on the device of ``images``.

    Returns:
        New tensor [N,3,S,S].
    """
    count, channels, size_px, _ = images.shape
    cropped = resample(images, augmentation.rows, augmentation.columns).reshape(count, channels, -1)
    constant = torch.baddbmm(
        augmentation.offset[:, :, None], augmentation.grey, cropped.mean(2, keepdim=True)
    )
    mixed = torch.baddbmm(constant, augmentation.mixing, cropped)
    return mixed.reshape(count, channels, size_px, size_px)


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample [N,C,H,W] bilinearly at row coordinates [N,S] and column coordinates [N,T]: [N,C,S,T]."""
    height_px, width_px = images.shape[2:]
    return separable(images, _interpolation(rows, height_px), _interpolation(columns, width_px))


def _interpolation(points: Tensor, size_px: int) -> Tensor:
    """Return matrices [N,S,size_px] whose rows weight the two pixels next to each point."""
    pixels = torch.arange(size_px, device=points.device, dtype=points.dtype)
    return (1 - (points[:, :, None] - pixels).abs()).clamp_(min=0)


def normalise(images: Tensor) -> Tensor:
    """Normalise images [N,3,S,S] in [0,255] by ImageNet's mean and standard deviation (evaluation.md 1.4)."""
    mean, std = _statistics(images)
    return (images / 255 - mean) / std


def denormalise(images: Tensor) -> Tensor:
    """Return what `normalise` maps to ``images`` [N,3,S,S], divided by 255: in [0,1] for images."""
    mean, std = _statistics(images)
    return images * std + mean


def _statistics(images: Tensor) -> list[Tensor]:
    """Mean and standard deviation [3,1,1]."""
    values = (numpy.asarray(each) for each in (MEAN, STD))
    return [send(each, images.device, torch.float32)[:, None, None] for each in values]
