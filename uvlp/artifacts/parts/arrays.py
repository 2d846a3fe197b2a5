"""Arrays with one row per item: written batch by batch into a part, and read as one array.

Every part has a `.npy` file per array. Arrays up to `JOINED_BYTES` are published as one `<name>.npy`;
longer ones stay as they are, as `<name>/<first row>.npy`, so that no second copy is written.
"""

from __future__ import annotations

import bisect
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Union

from uvlp.core.files.writing import link_or_copy

if TYPE_CHECKING:
    import numpy

JOINED_BYTES = 2**28
MOST_OPEN = 32
"""Each memory-mapped file holds a file descriptor, of which a process has 1,024 by default."""


def write_batches(folder: Path, count: int, batches: Iterable[Mapping[str, numpy.ndarray]]) -> None:
    """Write arrays of ``count`` rows to ``<name>.npy``, the same bytes as ``numpy.save`` of the whole.

    Args:
        batches: rows by name, in order; all have the same names, dtypes and shapes of a row.

    Raises:
        OSError: they cannot be written.
    """
    import numpy

    written = 0
    for batch in batches:
        for name, rows in batch.items():
            with (folder / f"{name}.npy").open("ab") as file:
                if written == 0:
                    _write_header(file, (count, *rows.shape[1:]), rows.dtype)
                file.write(numpy.ascontiguousarray(rows).data.cast("B"))
        written += len(next(iter(batch.values())))
    assert written == count


def publish(sources: Sequence[Path], folder: Path, names: Iterable[str]) -> None:
    """Write the arrays of all parts to the folder of the artifact.

    Args:
        sources: folders of the parts, in order.
        folder: of the artifact.
        names: of the arrays.

    Raises:
        OSError: they cannot be written.
    """
    for name in names:
        files = [source / f"{name}.npy" for source in sources]
        if len(files) == 1:
            link_or_copy(files[0], folder / f"{name}.npy")
        elif sum(path.stat().st_size for path in files) <= JOINED_BYTES:
            join(files, folder / f"{name}.npy")
        else:
            (folder / name).mkdir()
            first = 0
            for path in files:
                link_or_copy(path, folder / name / f"{first:08}.npy")
                first += _header(path)[0][0]


def join(files: Sequence[Path], target: Path) -> None:
    """Write the rows of several `.npy` files to one, in order.

    Raises:
        OSError: it cannot be written.
    """
    import numpy

    whole = PartedArray(files)
    with target.open("wb") as file:
        _write_header(file, whole.shape, whole.dtype)
        for path in files:
            rows = numpy.load(path, mmap_mode="r", allow_pickle=False)
            file.write(rows.data.cast("B"))


def read(folder: Path, name: str) -> Array:
    """Return a published array, memory-mapped and read-only.

    Raises:
        OSError: it cannot be read.
    """
    import numpy

    if (folder / name).is_dir():
        return PartedArray(sorted((folder / name).glob("*.npy")))
    array: numpy.ndarray = numpy.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return array


class PartedArray:
    """Several `.npy` files as one array, memory-mapped and read-only.

    Args:
        files: with equal dtypes and shapes of a row; at least one.

    Attributes:
        shape, dtype: of the whole array.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        import numpy

        self._files = tuple(files)
        first = numpy.load(files[0], mmap_mode="r", allow_pickle=False)
        self._headers = [_header(path) for path in files]
        self._ends = list(itertools.accumulate(shape[0] for shape, _ in self._headers))
        self.shape: tuple[int, ...] = (self._ends[-1], *first.shape[1:])
        self.dtype = first.dtype
        self._open: OrderedDict[int, numpy.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | numpy.ndarray) -> numpy.ndarray:
        """Return one row, or an array of the rows of a slice or of a list of indices."""
        import numpy

        if isinstance(index, slice):
            return self._rows(numpy.arange(*index.indices(len(self))))
        if isinstance(index, int | numpy.integer):
            row = range(len(self))[index]
            part = bisect.bisect_right(self._ends, row)
            # Rows are counted from the end of their file, as negative indices.
            rows: numpy.ndarray = self._part(part)[row - self._ends[part]]
            return rows
        return self._rows(numpy.asarray(index))

    def __array__(self, dtype: numpy.dtype | None = None, copy: bool | None = None) -> numpy.ndarray:
        """Return all rows in memory."""
        if copy is False:
            raise ValueError("an array of several files cannot be used without a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def _rows(self, rows: numpy.ndarray) -> numpy.ndarray:
        """Return copies of rows, read file by file."""
        import numpy

        if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
            raise IndexError(f"indices of rows, not {rows.dtype} {list(rows.shape)}")
        rows = rows.astype(numpy.int64)
        if ((rows < -len(self)) | (rows >= len(self))).any():
            raise IndexError(f"rows from 0 to {len(self) - 1}, not {rows.min()} to {rows.max()}")
        rows = numpy.where(rows < 0, rows + len(self), rows)
        found = numpy.empty((len(rows), *self.shape[1:]), self.dtype)
        parts = numpy.searchsorted(self._ends, rows, side="right")
        for part in numpy.unique(parts):
            chosen = parts == part
            found[chosen] = self._part(int(part))[rows[chosen] - self._ends[part]]
        return found

    def _part(self, number: int) -> numpy.ndarray:
        """Return the array of a file, memory-mapped."""
        import numpy

        if number not in self._open:
            if len(self._open) == MOST_OPEN:
                self._open.popitem(last=False)
            shape, offset = self._headers[number]  # numpy.load would parse it again, which takes longer
            self._open[number] = numpy.memmap(self._files[number], self.dtype, "r", offset, shape)
        self._open.move_to_end(number)
        return self._open[number]


def _write_header(file: BinaryIO, shape: Sequence[int], dtype: numpy.dtype) -> None:
    import numpy

    descr = numpy.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
    numpy.lib.format.write_array_header_1_0(file, header)


def _header(path: Path) -> tuple[tuple[int, ...], int]:
    """Return the shape in the header of a `.npy` file, and where its values begin."""
    import numpy

    with path.open("rb") as file:
        numpy.lib.format.read_magic(file)
        shape: tuple[int, ...] = numpy.lib.format.read_array_header_1_0(file)[0]
        return shape, file.tell()


Array = Union["numpy.ndarray", PartedArray]
"""An array of an artifact; both kinds are indexed by rows and have ``shape`` and ``dtype``."""
