"""Training augmentation of the RDED protocol for whole batches (evaluation.md 3.3).

Patch shuffle (columns of patches are permuted, then rows), random resized crop, flip, normalisation. With
``factor`` 1 nothing is shuffled and the crop is the entire (square) image, so only the flip remains
(quirk Q27). Images of several shapes are kept on the device as one tensor per shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from uvlp.models.device import send
from uvlp.protocols.training.augment import MEAN, STD
from uvlp.protocols.training.images import unit
from uvlp.protocols.training.random_crop import antialiased, draw_boxes, separable


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of N images.

    Attributes:
        columns, rows: int64 [N,factor], new order of the strips.
        box: int64 [N,4], top, left, height and width of the crop in the shuffled image, px.
        flip: bool [N].
    """

    columns: numpy.ndarray
    rows: numpy.ndarray
    box: numpy.ndarray
    flip: numpy.ndarray

    def select(self, which: slice | numpy.ndarray) -> Draws:
        """Return the rows of the images ``which``."""
        return Draws(
            columns=self.columns[which], rows=self.rows[which], box=self.box[which], flip=self.flip[which]
        )


def draw(
    generator: numpy.random.Generator,
    height_px: numpy.ndarray,
    width_px: numpy.ndarray,
    *,
    factor: int,
    flip: float,
) -> Draws:
    """Draw independently for images with sides int64 [N]; ``flip`` is a probability."""
    count = len(height_px)
    ordered = numpy.tile(numpy.arange(factor), (count, 1))
    columns, rows = (generator.permuted(ordered, axis=1) for _ in range(2))
    after = numpy.vectorize(side_after, otypes=[numpy.int64])
    box = draw_boxes(generator, after(height_px, factor), after(width_px, factor), 1 / factor)
    return Draws(columns=columns, rows=rows, box=box, flip=generator.random(count) < flip)


def augment(images: SizedImages, indices: numpy.ndarray, draws: Draws, size_px: int, factor: int) -> Tensor:
    """Return augmented, normalised images float32 [n,3,size_px,size_px] in the order of ``indices``.

    ``draws`` has one row for each of the n indices.
    """
    parts = [
        (which, transform(pixels, draws.select(which), size_px, factor))
        for which, pixels in images.by_shape(indices)
    ]
    if len(parts) == 1:
        return parts[0][1]
    order = numpy.argsort(numpy.concatenate([which for which, _ in parts]))
    stacked = torch.cat([part for _, part in parts])
    return stacked[send(order, stacked.device)]


def transform(pixels: Tensor, draws: Draws, size_px: int, factor: int) -> Tensor:
    """Augment images of one shape, uint8 or float32 [n,3,H,W], to float32 [n,3,size_px,size_px]."""
    device = pixels.device.type
    shuffled = shuffle(pixels, draws.columns, draws.rows, factor)
    top, left, height, width = draws.box.T
    rows = antialiased(top, height, size_px, shuffled.shape[2], device)
    columns = antialiased(left, width, size_px, shuffled.shape[3], device)
    columns = torch.where(send(draws.flip, device)[:, None, None], columns.flip(1), columns)
    mean, std = (send(numpy.asarray(values), device, torch.float32)[:, None, None] for values in (MEAN, STD))
    cropped = separable(unit(shuffled), rows.float(), columns.float())
    return (cropped - mean) / std


def strips(side_px: int, factor: int) -> list[range]:
    """Return the pixels of each of ``factor`` strips of a side.

    As in the reference, the strip that starts at pixel ``factor`` - 1 extends to the end; otherwise the
    remainder of the division is dropped. All strips are equal if ``factor`` divides the side and the side
    is larger than its square.
    """
    length_px = side_px // factor
    assert length_px > 0, "every strip is at least one pixel wide"
    starts = range(0, factor * length_px, length_px)
    return [range(start, side_px if start == factor - 1 else start + length_px) for start in starts]


def side_after(side_px: int, factor: int) -> int:
    """Return the side of the shuffled image."""
    return sum(map(len, strips(side_px, factor)))


def positions(side_px: int, factor: int, permutations: numpy.ndarray) -> numpy.ndarray:
    """Return int64 [N,side_after]: the source pixel of every pixel of N shuffled sides.

    ``permutations``, int64 [N,factor], is the new order of the strips.
    """
    parts = [numpy.asarray(strip) for strip in strips(side_px, factor)]
    return numpy.stack([numpy.concatenate([parts[strip] for strip in order]) for order in permutations])


def shuffle(images: Tensor, columns: numpy.ndarray, rows: numpy.ndarray, factor: int) -> Tensor:
    """Return images [N,C,H,W] with the strips of their width and height reordered.

    Args:
        images: any dtype; not modified.
        columns, rows: int64 [N,factor], new order of the strips.
        factor: strips per side; 1 changes nothing.
    """
    if factor == 1:
        return images
    height_px, width_px = images.shape[2:]
    new_rows, new_columns = (
        send(positions(side_px, factor, order), images.device)
        for side_px, order in ((height_px, rows), (width_px, columns))
    )
    image = torch.arange(len(images), device=images.device)[:, None, None]
    return images[image, :, new_rows[:, :, None], new_columns[:, None]].permute(0, 3, 1, 2)


class SizedImages:
    """N images, uint8 or float32, each at its original size.

    Args:
        pixels: [H,W,3] per image, of one dtype; iterated over once.
        device: of the stored pixels.

    Attributes:
        height_px, width_px: int64 [N].
    """

    def __init__(self, pixels: Iterable[numpy.ndarray], device: str) -> None:
        group_of: dict[tuple[int, int], int] = {}
        groups: list[list[numpy.ndarray]] = []
        rows = []
        for image in pixels:
            group = group_of.setdefault((image.shape[0], image.shape[1]), len(groups))
            if group == len(groups):
                groups.append([])
            rows.append((*image.shape[:2], group, len(groups[group])))
            groups[group].append(image)
        columns = numpy.asarray(rows, dtype=numpy.int64).T
        self.height_px, self.width_px, self._group, self._row = columns
        self._tensors = []
        for members in groups:
            tensor = torch.from_numpy(numpy.stack(members)).permute(0, 3, 1, 2)
            self._tensors.append(tensor.contiguous().to(device))
            members.clear()

    def __len__(self) -> int:
        return len(self._row)

    def by_shape(self, indices: numpy.ndarray) -> Iterator[tuple[numpy.ndarray, Tensor]]:
        """Yield (positions within ``indices``, int64; their images [n,3,H,W]) for every shape."""
        groups = self._group[indices]
        for group in numpy.unique(groups):
            which = numpy.flatnonzero(groups == group)
            tensor = self._tensors[group]
            yield which, tensor[send(self._row[indices[which]], tensor.device)]
