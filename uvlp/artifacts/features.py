"""`features`: one row per training image, in the order of the dataset's files, memory-mapped.

Part `images`: `image.npy` float32 [N, D] with unit rows; `mean.npy` and `deviation.npy` [N, 4, h, w], the
moments of the scaled latents, float32, or float16 from published models. Part `texts`: `text.npy` float32
[N, D] with unit rows, and `names.npy` float32 [C, D], the class-name prototypes. Part `network`:
`network.npy` float32 [N, D], features of a network that was trained on the full set. Part `latents`, for
fine-tunings: `latents.npy` float16 [N, sides, 2, 4, h, w], mean and deviation of the latents, not scaled, of
every image and, with two sides, of its mirror image.

A long array is a folder of several files instead, e.g. `mean/00000000.npy` (`parts/arrays.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.parts import arrays
from uvlp.core.errors import UvlpError
from uvlp.core.seeds import torch_generator

if TYPE_CHECKING:
    import numpy

KIND = "features"
SCHEMA = 2
PARTS = {"images": ("image", "mean", "deviation"), "texts": ("text", "names"), "network": ("network",)}
LATENTS = "latents"
"""Part, and its array, that no method reads."""
PROTOCOL = "minimax"
NETWORK = "resnet-ap-10"
"""Protocol and network of part `network`."""


def check_finite(checked: Mapping[str, numpy.ndarray], names: Sequence[str], fix: str | None = None) -> None:
    """Check that every value is finite.

    Args:
        names: name of each row, e.g. its file.
        fix: how to fix it, for the message.

    Raises:
        UvlpError: a value is NaN or infinite; names the array and the first such row.
    """
    import numpy

    for name, array in checked.items():
        bad = ~numpy.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            row = names[int(bad.argmax())]
            raise UvlpError(f"stage embed: {name} of {row} is not a finite {array.dtype} number", fix=fix)


def write(folder: Path, complete: Mapping[str, numpy.ndarray]) -> None:
    """Write complete arrays; those of the streaming pass are made in parts.

    Raises:
        UvlpError: see :func:`check_finite`.
    """
    import numpy

    for name, array in complete.items():
        check_finite({name: array}, [f"row {row}" for row in range(len(array))])
        numpy.save(folder / f"{name}.npy", array, allow_pickle=False)


def read(folders: Mapping[str, Path]) -> dict[str, arrays.Array]:
    """Return the arrays of all parts in ``folders`` (part -> folder), memory-mapped and read-only."""
    return {name: arrays.read(folder, name) for part, folder in folders.items() for name in PARTS[part]}


class Latents:
    """Samples of the posteriors, drawn on access: ``latents[[3, 5]]`` is float32 [2, 4, h, w].

    Args:
        mean, deviation: of the scaled latents [N, 4, h, w].
        noise: returns standard normal noise [4, h, w] of a row, e.g. :func:`posterior_noise`.
    """

    def __init__(
        self, mean: arrays.Array, deviation: arrays.Array, noise: Callable[[int], numpy.ndarray]
    ) -> None:
        self._mean, self._deviation, self._noise = mean, deviation, noise

    def __getitem__(self, rows: Sequence[int]) -> numpy.ndarray:
        import numpy

        drawn = numpy.empty((len(rows), *self._mean.shape[1:]), dtype=numpy.float32)
        for index, row in enumerate(rows):
            mean, deviation = (moment[row].astype(numpy.float32) for moment in (self._mean, self._deviation))
            drawn[index] = mean + deviation * self._noise(row)
        return drawn


def posterior_noise(files: Sequence[str], seed: int, shape: Sequence[int]) -> Callable[[int], numpy.ndarray]:
    """Return noise that depends on image and seed, not on batches or order (methods.md E22).

    Args:
        files: file name of every row.
        seed: distillation seed.
        shape: shape of one latent, (4, h, w).
    """

    def draw(row: int) -> numpy.ndarray:
        import torch

        return torch.randn(tuple(shape), generator=torch_generator(seed, "posterior", files[row])).numpy()

    return draw
