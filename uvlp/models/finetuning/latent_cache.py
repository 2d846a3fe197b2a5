"""Posterior mean and standard deviation of every training image and its mirror image, on disk.

A step that samples from the cached posterior of the image or its mirror image has the same distribution of
losses as one that encodes the image (methods.md B.2): the encoder is frozen and uses no other randomness.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvlp.core.files import sealed
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.writing import flush
from uvlp.core.prefetch import in_background
from uvlp.core.progress import Progress

AHEAD = 2  # maximum number of batches decoded in advance
BLOCK = 256  # images per block; a resumed run continues at the first incomplete block
MOMENTS = 2

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""uint8 [n, 3, S, S] -> mean and standard deviation, each [n, 4, h, w], not scaled."""


class LatentCache:
    """float16 [images, sides, 2, 4, h, w] in one file, with the hash of each complete block of images.

    Args:
        folder: kept after an interruption.
        images: number of images.
        latent: shape of one latent.
        mirrored: also store the mirror images.
    """

    def __init__(self, folder: Path, images: int, latent: tuple[int, int, int], *, mirrored: bool) -> None:
        self._data, self._marks = folder / "latents.float16", folder / "latents-done"
        self._of = f"{folder.name}, {images} images"
        self._shape = (images, 2 if mirrored else 1, MOMENTS, *latent)
        self._bytes = int(np.prod(self._shape)) * np.dtype(np.float16).itemsize

    def open(self, log: Callable[[str], None]) -> None:
        """Create the file, or resume from an interrupted run after verifying its blocks; for one process.

        Raises:
            UvlpError: not enough disk space.
        """
        size = self._data.stat().st_size if self._data.is_file() else 0
        if size != self._bytes:
            if self._marks.is_dir():
                log("the cached latents are damaged: encoding all images again")
                shutil.rmtree(self._marks)
            self._data.unlink(missing_ok=True)
            self._check_space()
            with self._data.open("wb") as file:
                file.truncate(self._bytes)
        self._marks.mkdir(exist_ok=True)
        for start in range(0, self._shape[0], BLOCK):
            mark = self._mark(start)
            if mark.exists() and sealed.read(mark, self._of) != self._sha256(start):
                stop = min(start + BLOCK, self._shape[0])
                log(f"cached latents {start + 1} to {stop} are damaged: encoding these images again")
                mark.unlink()

    def _sha256(self, start: int) -> str:
        """Hash a block on disk."""
        sha256, row_bytes = hashlib.sha256(), self._bytes // self._shape[0]
        with self._data.open("rb") as file:
            file.seek(start * row_bytes)
            for _ in range(start, min(start + BLOCK, self._shape[0])):
                sha256.update(file.read(row_bytes))
        return sha256.hexdigest()

    def _check_space(self) -> None:
        fix = "free some space, choose another folder with --store, or encode in every epoch: "
        fix += "--set finetune.cache_latents=false"
        check_space("the latents of the training images", self._data.parent, self._bytes, fix)

    def missing(self, process: int = 0, processes: int = 1) -> list[range]:
        """Return the blocks of rows that this process still has to encode."""
        starts = range(0, self._shape[0], BLOCK)
        todo = [start for start in starts if not self._mark(start).exists()]
        return [range(start, min(start + BLOCK, self._shape[0])) for start in todo[process::processes]]

    def _mark(self, start: int) -> Path:
        return self._marks / f"{start:08d}"

    def fill(
        self,
        blocks: Sequence[range],
        load: Callable[[Sequence[int]], Tensor],
        encode: Encode,
        batch: int,
        progress: Progress,
    ) -> None:
        """Encode blocks of images; ``load`` returns uint8 [n, 3, S, S] of given rows."""
        split = [list(block[start : start + batch]) for block in blocks for start in range(0, BLOCK, batch)]
        parts = [rows for rows in split if rows]
        # The next images are decoded while the GPU encodes the current ones.
        loaded = zip(parts, in_background(map(load, parts), AHEAD), strict=True)
        sha256 = hashlib.sha256()
        with self._data.open("r+b") as file:
            for rows, images in progress.track(loaded, "batches of latents", total=len(parts)):
                # On a full disk a plain write raises; a write to a memory-mapped file kills the process.
                file.seek(rows[0] * self._bytes // self._shape[0])
                if rows[0] % BLOCK == 0:
                    sha256 = hashlib.sha256()
                content = self._encoded(images, encode).tobytes()
                sha256.update(content)
                file.write(content)
                if (rows[-1] + 1) % BLOCK == 0 or rows[-1] + 1 == self._shape[0]:
                    file.flush()
                    flush(self._data)
                    sealed.write(self._mark(rows[-1] // BLOCK * BLOCK), self._of, sha256.hexdigest())

    def _encoded(self, images: Tensor, encode: Encode) -> NDArray[np.float16]:
        sides = [images, images.flip(-1)][: self._shape[1]]
        moments = torch.stack([torch.stack(encode(side), 1) for side in sides], 1)
        return moments.to("cpu", torch.float16).numpy()

    def read(self, rows: NDArray[np.int64], flip: NDArray[np.bool_]) -> Tensor:
        """Return float16 [n, 2, 4, h, w]: mean and deviation of each row, of its mirror image if ``flip``."""
        stored = np.memmap(self._data, np.float16, "r", shape=self._shape)
        return torch.from_numpy(
            np.stack([stored[row, int(side)] for row, side in zip(rows, flip, strict=True)])
        )
