"""A dataset of in-memory arrays, with class sizes from the manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from uvlp.artifacts.dataset import DatasetManifest
from uvlp.core.errors import UvlpError
from uvlp.core.wording import first_few, kind_of

if TYPE_CHECKING:
    import numpy


class Arrays:
    """The dataset (see `artifacts/dataset.py` for its interface).

    Args:
        manifest: names, counts and the hash of the images.
        read: returns the images of ``"train"`` or ``"val"``, uint8 [N, H, W, 3], sorted by class as in the
            manifest; called once per split, when images are first requested.
    """

    def __init__(self, manifest: DatasetManifest, read: Callable[[str], numpy.ndarray]) -> None:
        self.manifest, self._read = manifest, read
        self._pixels: dict[str, numpy.ndarray] = {}

    def files(self, split: str) -> tuple[str, ...]:
        """Names such as ``train/cat/0007.png``; the number counts within the class."""
        return tuple(
            f"{split}/{info.id}/{row:04d}.png"
            for info in self.manifest.classes
            for row in range(getattr(info, split))
        )

    def labels(self, split: str) -> tuple[int, ...]:
        """The class index of every image."""
        return tuple(info.index for info in self.manifest.classes for _ in range(getattr(info, split)))

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3]."""
        import numpy
        from PIL import Image

        from uvlp.datasets.files.images.image_files import squash

        pixels = numpy.empty((len(indices), size_px, size_px, 3), dtype=numpy.uint8)
        for row, image in enumerate(self.originals(split, indices)):
            pixels[row] = squash(Image.fromarray(image), size_px)
        return pixels

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [H, W, 3] each.

        Raises:
            UvlpError: ``read`` returned something else than the images that the manifest counts.
        """
        if split not in self._pixels:
            self._pixels[split] = self._checked(split, self._read(split))
        return [self._pixels[split][index] for index in indices]

    def captions(self) -> Mapping[str, str] | None:
        """None: arrays have no captions."""
        return None

    def _checked(self, split: str, pixels: numpy.ndarray) -> numpy.ndarray:
        """The images of a split if they are as many as the labels, which are counted without them."""
        what = f"{self.manifest.name}: the images of split {split}"
        shape: tuple[int, ...] = getattr(pixels, "shape", ())
        if str(getattr(pixels, "dtype", "")) != "uint8" or len(shape) != 4 or shape[3] != 3:
            raise UvlpError(what, got=kind_of(pixels), allowed="an ndarray uint8 [N, H, W, 3]")
        count = self.manifest.count(split)
        if len(pixels) != count:
            counts = first_few(str(getattr(info, split)) for info in self.manifest.classes)
            raise UvlpError(
                what,
                got=len(pixels),
                allowed=f"{count} ({counts}), as the manifest counts them",
                fix="correct the counts of its ClassInfo, or what is drawn",
            )
        return pixels
