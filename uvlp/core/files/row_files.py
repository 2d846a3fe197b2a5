"""Arrays with one row per image, written shard by shard, so that a killed run can resume.

Every array is a `.npy` file that is allocated at its full size, so that a full disk is noticed before the
work starts. Rows are written by position and never through a memory map, where a full disk would kill the
process instead of raising an error. A shard counts as finished once its rows are on the disk and the journal
with their hashes has been renamed into place; the next run verifies the hashes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvlp.core.files import sealed
from uvlp.core.files.disk_space import free_bytes, too_small
from uvlp.core.files.os_errors import is_full
from uvlp.core.files.writing import flush

if TYPE_CHECKING:
    import numpy

JOURNAL = "shards.json"
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One array: its dtype, e.g. ``float32``, and the shape of a row."""

    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, rows: numpy.ndarray) -> Column:
        """Return the column of an array ``rows`` [n, ...]."""
        return cls(dtype=rows.dtype.name, shape=tuple(rows.shape[1:]))

    @property
    def row_bytes(self) -> int:
        """Size of a row in bytes."""
        import numpy

        return math.prod(self.shape) * numpy.dtype(self.dtype).itemsize


class RowFiles:
    """Array files being written, in a folder that is kept when a run is interrupted.

    Args:
        folder: where they are kept until they are complete.
        columns: by file name without `.npy`.
        count: number of rows.
        shard: number of rows per shard.
        made_by: what determines the last bits, e.g. the device; rows with another value are discarded.
        log: called with a line about damaged rows that are discarded.

    Raises:
        UvlpError: the disk is too small for the complete arrays.
    """

    def __init__(
        self,
        folder: Path,
        columns: Mapping[str, Column],
        count: int,
        shard: int,
        made_by: str,
        log: Callable[[str], None],
    ) -> None:
        self._folder, self._columns, self._count, self._shard = folder, dict(columns), count, shard
        self._log = log
        self._layout = json.loads(
            json.dumps(
                {
                    "columns": {name: asdict(column) for name, column in columns.items()},
                    "count": count,
                    "shard": shard,
                    "made_by": made_by,
                }
            )
        )
        self._hashes: dict[str, Any] = {}
        """Running hashes of the shard that is being written, by column."""
        recovered = self._recover()
        self._finished: dict[int, dict[str, str]] = recovered or {}
        """SHA-256 of the rows of each finished shard, by column."""
        if recovered is None:
            self._allocate()

    @property
    def finished_rows(self) -> int:
        """Number of rows finished by an earlier run or this one."""
        return sum(len(self._rows_of(shard)) for shard in self._finished)

    def missing(self, batch: int) -> list[range]:
        """Return the rows of unfinished shards, in batches with fixed borders."""
        assert self._shard % batch == 0, "the size of a shard is a multiple of the batch size"
        shards = (
            self._rows_of(shard)
            for shard in range(math.ceil(self._count / self._shard))
            if shard not in self._finished
        )
        return [rows[start : start + batch] for rows in shards for start in range(0, len(rows), batch)]

    def write(self, rows: range, arrays: Mapping[str, numpy.ndarray]) -> None:
        """Write a batch of :meth:`missing`, in that order; the last batch of a shard finishes the shard."""
        import numpy

        shard = rows.start // self._shard
        if rows.start == self._rows_of(shard).start:
            self._hashes = {name: hashlib.sha256() for name in self._columns}
        for name, column in self._columns.items():
            array = numpy.ascontiguousarray(arrays[name])
            assert Column.of(array) == column and len(array) == len(rows), name
            with self._path(name).open("r+b") as file:
                offset = self._header_bytes(name) + rows.start * column.row_bytes
                _write_at(file.fileno(), array.data.cast("B"), offset)
            self._hashes[name].update(array.data.cast("B"))
        if rows.stop == self._rows_of(shard).stop:
            self._finish(shard)

    def link(self, folder: Path) -> None:
        """Hard-link the complete files into ``folder`` (safe against a kill), or move them if links fail."""
        assert self.finished_rows == self._count
        for name in self._columns:
            try:
                os.link(self._path(name), folder / f"{name}.npy")
            except OSError:  # a file system without hard links
                os.replace(self._path(name), folder / f"{name}.npy")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npy"

    def _rows_of(self, shard: int) -> range:
        return range(shard * self._shard, min(self._count, (shard + 1) * self._shard))

    def _header(self, name: str) -> bytes:
        import io

        import numpy

        column, file = self._columns[name], io.BytesIO()
        descr = numpy.lib.format.dtype_to_descr(numpy.dtype(column.dtype))
        shape = (self._count, *column.shape)
        numpy.lib.format.write_array_header_1_0(
            file, {"descr": descr, "fortran_order": False, "shape": shape}
        )
        return file.getvalue()

    def _header_bytes(self, name: str) -> int:
        return len(self._header(name))

    def _size(self, name: str) -> int:
        return self._header_bytes(name) + self._count * self._columns[name].row_bytes

    def _recover(self) -> dict[int, dict[str, str]] | None:
        """Return the shards that an earlier run finished; None if none can be reused."""
        if not (self._folder / JOURNAL).exists():
            return None
        try:
            journal: dict[str, Any] = sealed.read(self._folder / JOURNAL, self._folder.name)
            if journal["layout"] != self._layout:
                return None
            shards = {int(shard): dict(hashes) for shard, hashes in journal["finished"].items()}
            intact = all(self._is_as_allocated(name) for name in self._columns)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if not intact:
            self._log("stored features are damaged: computing them again")
            return None
        return {shard: hashes for shard, hashes in shards.items() if self._is_as_written(shard, hashes)}

    def _is_as_allocated(self, name: str) -> bool:
        header = self._header(name)
        with self._path(name).open("rb") as file:
            return file.read(len(header)) == header and os.stat(file.fileno()).st_size == self._size(name)

    def _is_as_written(self, shard: int, hashes: Mapping[str, str]) -> bool:
        rows = self._rows_of(shard)
        for name, column in self._columns.items():
            start = self._header_bytes(name) + rows.start * column.row_bytes
            if _sha256_of(self._path(name), start, len(rows) * column.row_bytes) != hashes.get(name):
                text = f"rows {rows.start + 1} to {rows.stop} of {name}.npy are damaged"
                self._log(f"{text}: computing them again")
                return False
        return True

    def _allocate(self) -> None:
        (self._folder / JOURNAL).unlink(missing_ok=True)
        for name in self._columns:
            self._path(name).unlink(missing_ok=True)
        needed, free = sum(map(self._size, self._columns)), free_bytes(self._folder)
        try:
            for name in self._columns:
                with self._path(name).open("w+b") as file:
                    os.posix_fallocate(file.fileno(), 0, self._size(name))
                    _write_at(file.fileno(), memoryview(self._header(name)), 0)
        except OSError as error:
            for name in self._columns:
                self._path(name).unlink(missing_ok=True)
            if not is_full(error):
                raise
            fix = "free some space or choose another folder with --store; finished artifacts are kept"
            raise too_small("the features", self._folder, needed, free, fix) from error
        self._save()

    def _finish(self, shard: int) -> None:
        for name in self._columns:
            flush(self._path(name))
        self._finished[shard] = {name: sha256.hexdigest() for name, sha256 in self._hashes.items()}
        self._save()

    def _save(self) -> None:
        finished = {str(shard): hashes for shard, hashes in sorted(self._finished.items())}
        value = {"layout": self._layout, "finished": finished}
        sealed.write(self._folder / JOURNAL, self._folder.name, value)


def _write_at(descriptor: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


def _sha256_of(path: Path, start: int, count: int) -> str:
    """Return the hash of ``count`` bytes of a file from ``start``, read in blocks."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while count and (block := file.read(min(count, MEGABYTE))):
            sha256.update(block)
            count -= len(block)
    return sha256.hexdigest()
