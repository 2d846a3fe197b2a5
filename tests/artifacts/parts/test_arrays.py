"""Arrays in parts: the bytes of numpy, one file or several, read as one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from uvlp.artifacts.parts import arrays

COUNT, SIZE = 11, 4


@pytest.fixture
def whole() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "one": generator.normal(size=(COUNT, 3)).astype(np.float32),
        "two": generator.normal(size=(COUNT, 4, 2, 2)).astype(np.float16),
    }


def parts(folder: Path, whole: dict[str, np.ndarray], size: int = SIZE) -> list[Path]:
    folders = []
    for first in range(0, COUNT, size):
        part = folder / f"{first:08}"
        part.mkdir(parents=True)
        stop = min(first + size, COUNT)
        batches = [range(start, min(start + 3, stop)) for start in range(first, stop, 3)]
        arrays.write_batches(
            part,
            stop - first,
            ({name: array[each.start : each.stop] for name, array in whole.items()} for each in batches),
        )
        folders.append(part)
    return folders


@pytest.mark.parametrize("size", [SIZE, COUNT])
def test_short_arrays_are_the_files_of_numpy(tmp_path: Path, whole: dict[str, np.ndarray], size: int) -> None:
    (tmp_path / "out").mkdir()
    arrays.publish(parts(tmp_path / "parts", whole, size), tmp_path / "out", whole)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.npy", "two.npy"]
    for name, array in whole.items():
        np.save(tmp_path / f"{name}.npy", array)
        assert (tmp_path / "out" / f"{name}.npy").read_bytes() == (tmp_path / f"{name}.npy").read_bytes()
        read = arrays.read(tmp_path / "out", name)
        assert isinstance(read, np.memmap) and np.array_equal(read, array)


def test_long_arrays_stay_in_parts_and_are_read_as_one(
    tmp_path: Path, whole: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "JOINED_BYTES", 10)
    monkeypatch.setattr(arrays, "MOST_OPEN", 1)
    (tmp_path / "out").mkdir()
    folders = parts(tmp_path / "parts", whole)
    arrays.publish(folders, tmp_path / "out", whole)
    assert (tmp_path / "out/one/00000004.npy").samefile(folders[1] / "one.npy")
    for name, array in whole.items():
        read = arrays.read(tmp_path / "out", name)
        assert isinstance(read, arrays.PartedArray)
        assert (read.shape, read.dtype, len(read)) == (array.shape, array.dtype, COUNT)
        assert np.asarray(read).tobytes() == array.tobytes()
        assert np.asarray(read, np.float64).dtype == np.float64
        for row in (0, 3, 4, 10, -1, -11, np.int64(5)):
            assert np.array_equal(read[int(row)], array[row])
        for cut in (slice(None), slice(2, 9), slice(4, 8), slice(None, None, -2), slice(5, 5)):
            assert np.array_equal(read[cut], array[cut])
        for rows in ([10, 0, 4, 4, 3], [-1, 0], [], (7,), np.array([8, 1])):
            assert np.array_equal(read[rows], array[list(rows)])


@pytest.mark.parametrize("rows", [[11], [-12], [[1]], [0.5], [True]])
def test_other_indices_are_refused(tmp_path: Path, whole: dict[str, np.ndarray], rows: list[int]) -> None:
    read = arrays.PartedArray([folder / "one.npy" for folder in parts(tmp_path, whole)])
    with pytest.raises(IndexError):
        read[rows]
    with pytest.raises(IndexError):
        read[COUNT]
    with pytest.raises(ValueError, match="copy"):
        np.array(read, copy=False)


def test_parts_are_copied_without_hard_links(
    tmp_path: Path, whole: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "out").mkdir()
    folders = parts(tmp_path / "parts", whole, COUNT)
    arrays.publish(folders, tmp_path / "out", whole)
    for name, array in whole.items():
        assert np.array_equal(np.load(tmp_path / "out" / f"{name}.npy"), array)
        assert (folders[0] / f"{name}.npy").is_file()
