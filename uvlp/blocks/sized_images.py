"""Images of several shapes on a device, one tensor for each shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy
import torch
from torch import Tensor

from uvlp.blocks.transfer import send


class SizedImages:
    """N images, uint8, each at its own size.

    Args:
        pixels: uint8 [H,W,3] per image; asked for once, in order.
        device: where the pixels are kept.

    Attributes:
        height_px, width_px: int64 [N].
    """

    def __init__(self, pixels: Iterable[numpy.ndarray], device: str) -> None:
        group_of: dict[tuple[int, int], int] = {}
        groups: list[list[numpy.ndarray]] = []
        places = []
        for image in pixels:
            group = group_of.setdefault((image.shape[0], image.shape[1]), len(groups))
            if group == len(groups):
                groups.append([])
            places.append((*image.shape[:2], group, len(groups[group])))
            groups[group].append(image)
        columns = numpy.asarray(places, dtype=numpy.int64).T
        self.height_px, self.width_px, self._group, self._row = columns
        self._tensors = []
        for members in groups:
            tensor = torch.from_numpy(numpy.stack(members)).permute(0, 3, 1, 2)
            self._tensors.append(tensor.contiguous().to(device))
            members.clear()

    def __len__(self) -> int:
        return len(self._row)

    def by_shape(self, indices: numpy.ndarray) -> Iterator[tuple[numpy.ndarray, Tensor]]:
        """Yield (which of ``indices``, int64; their images, uint8 [n,3,H,W]) for every shape among them."""
        groups = self._group[indices]
        for group in numpy.unique(groups):
            which = numpy.flatnonzero(groups == group)
            tensor = self._tensors[group]
            yield which, tensor[send(self._row[indices[which]], tensor.device)]
