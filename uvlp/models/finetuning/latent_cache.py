"""Posterior mean and deviation of every training image and of its mirror image, on disk.

A step that draws from the stored posterior and picks image or mirror image has the same distribution of
losses as one that encodes anew (methods.md B.2): the encoder is frozen and sees no other random number.
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

AHEAD = 2  # batches of images that wait at most
BLOCK = 256  # images between two marks that outlive a kill
MOMENTS = 2

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""uint8 [n, 3, S, S] -> mean and deviation, each [n, 4, h, w], not scaled."""


class LatentCache:
    """float16 [images, sides, 2, 4, h, w] in one file, with the hash of each finished block of images.

    Args:
        folder: outlives an interrupted run.
        images: number of images.
        latent: shape of one latent.
        mirrored: whether the mirror images are stored, too.
    """

    def __init__(self, folder: Path, images: int, latent: tuple[int, int, int], *, mirrored: bool) -> None:
        self._data, self._marks = folder / "latents.float16", folder / "latents-done"
        self._of = f"{folder.name}, {images} images"
        self._shape = (images, 2 if mirrored else 1, MOMENTS, *latent)
        self._bytes = int(np.prod(self._shape)) * np.dtype(np.float16).itemsize

    def open(self, log: Callable[[str], None]) -> None:
        """Make the file, or take up what an interrupted run left and is as it was written; by one process.

        Raises:
            UvlpError: the disk is too small for it.
        """
        size = self._data.stat().st_size if self._data.is_file() else 0
        if size != self._bytes:
            if self._marks.is_dir():
                log("the stored latents are damaged: encoding anew")
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
                log(f"stored latents {start + 1} to {stop} are not as they were written: encoding them anew")
                mark.unlink()

    def _sha256(self, start: int) -> str:
        """Of a block as it lies on the disk."""
        found, row = hashlib.sha256(), self._bytes // self._shape[0]
        with self._data.open("rb") as file:
            file.seek(start * row)
            for _ in range(start, min(start + BLOCK, self._shape[0])):
                found.update(file.read(row))
        return found.hexdigest()

    def _check_space(self) -> None:
        fix = "free some, choose another folder with --store, or encode in every epoch: "
        fix += "--set finetune.cache_latents=false"
        check_space("the latents of the training images", self._data.parent, self._bytes, fix)

    def missing(self, process: int = 0, processes: int = 1) -> list[range]:
        """The blocks of rows that are still to be encoded and fall to this process."""
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
        """Encode blocks of images; ``load`` gives uint8 [n, 3, S, S] of some rows."""
        cut = [list(block[start : start + batch]) for block in blocks for start in range(0, BLOCK, batch)]
        parts = [rows for rows in cut if rows]
        # The next images are decoded while the GPU encodes these.
        loaded = zip(parts, in_background(map(load, parts), AHEAD), strict=True)
        sha256 = hashlib.sha256()
        with self._data.open("r+b") as file:
            for rows, images in progress.track(loaded, "batches of latents", total=len(parts)):
                # Plain writes say that a disk is full; a write into a mapped file kills the process.
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
        """float16 [n, 2, 4, h, w]: mean and deviation of each row, of the mirror image where ``flip``."""
        stored = np.memmap(self._data, np.float16, "r", shape=self._shape)
        return torch.from_numpy(
            np.stack([stored[row, int(side)] for row, side in zip(rows, flip, strict=True)])
        )
