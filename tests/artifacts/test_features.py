"""Features on disk are memory-mapped and finite, and latents are drawn for requested images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from uvlp.artifacts import features
from uvlp.artifacts.features import Latents, posterior_noise
from uvlp.core.errors import UvlpError
from uvlp.core.seeds import torch_generator

FILES = tuple(f"train/a/{row}.png" for row in range(6))


@pytest.fixture
def moments() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    mean, deviation = generator.normal(size=(2, 6, 4, 4, 4)).astype(np.float32)
    return mean, np.abs(deviation)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_latents_are_samples_with_noise_by_image(
    moments: tuple[np.ndarray, np.ndarray], dtype: type[np.floating]
) -> None:
    mean, deviation = (array.astype(dtype) for array in moments)
    drawn = Latents(mean, deviation, posterior_noise(FILES, 3, (4, 4, 4)))[[4, 1]]
    noise = torch.stack(
        [torch.randn(4, 4, 4, generator=torch_generator(3, "posterior", FILES[row])) for row in (4, 1)]
    )
    kept = (torch.from_numpy(array[[4, 1]]).float() for array in (mean, deviation))
    expected = next(kept) + next(kept) * noise
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, expected.numpy())


def test_latents_depend_only_on_the_seed(moments: tuple[np.ndarray, np.ndarray]) -> None:
    first, other = (Latents(*moments, posterior_noise(FILES, seed, (4, 4, 4))) for seed in (0, 1))
    np.testing.assert_array_equal(first[[2]], first[range(6)][2:3])
    assert not np.array_equal(first[[2]], other[[2]])


def test_arrays_of_all_parts_are_memory_mapped(tmp_path: Path) -> None:
    folders = {"texts": tmp_path / "texts", "network": tmp_path / "network"}
    for part, folder in folders.items():
        folder.mkdir()
        features.write(folder, {name: np.ones((2, 3), np.float32) for name in features.PARTS[part]})
    arrays = features.read(folders)
    assert set(arrays) == {"text", "names", "network"}
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in arrays.values())


def test_row_that_is_not_finite_is_named() -> None:
    rows = np.zeros((3, 4), np.float16)
    rows[1, 2] = np.inf
    with pytest.raises(UvlpError) as caught:
        features.check_finite({"image": rows[:1], "mean": rows}, FILES, "try this")
    assert "mean of train/a/1.png" in caught.value.what and caught.value.fix == "try this"


def test_complete_arrays_are_checked_when_written(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        features.write(tmp_path, {"network": np.array([[1], [np.nan]], np.float32)})
    assert "network of row 1" in caught.value.what
