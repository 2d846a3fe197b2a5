"""Checks that a safetensors file is complete, from its header, without reading any weights.

The format: eight bytes with the length of the header (little endian), the header in JSON (name of each
tensor, its dtype, shape and offsets in the data), and the data. A truncated download, or a web page saved
under the name, is noticed here instead of in the middle of a run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_regular
from uvlp.core.files.torchscript import TITLE, is_torchscript

CORRUPT = "the header of a safetensors file is corrupt"
PREFIX_BYTES = 8
LONGEST_HEADER_BYTES = 100_000_000  # the library's own limit
FLOATS = ("F", "BF")
"""Prefixes of floating-point dtypes."""
COUNTERS = ("position_ids", "num_batches_tracked")
"""Names of integer tensors that are stored beside the weights."""

BLOCK_BYTES = 1 << 24
# By dtype: the integer dtype of the same size, and the exponent bits, all set in a NaN or an infinity.
EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
BITS: Mapping[str, int] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
}
"""Bits per number by dtype."""

Shapes = Mapping[str, tuple[int, ...]]


def check(path: Path, fix: str, *, floats: bool = False) -> Shapes:
    """Return the shapes of the tensors in ``path``, whose size must match its header.

    Args:
        fix: how to fix a damaged file, for the message.
        floats: whether it contains weights, which must be floating-point.

    Raises:
        UvlpError: it is not a safetensors file, is truncated, or has integers instead of weights.
        OSError: it cannot be read.
    """
    size = check_regular(path, "file with weights")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(PREFIX_BYTES), "little")
        if not 2 <= length <= LONGEST_HEADER_BYTES:
            if is_torchscript(path):
                fix = "get the weights as safetensors"
                raise UvlpError(f"this is {TITLE}, not a safetensors file", got=str(path), fix=fix)
            # A web page, or a pointer that git left instead of the weights, has letters here.
            raise _damaged("this is not a safetensors file", path, f"begins with {_beginning(path)!r}", fix)
        if PREFIX_BYTES + length > size:
            raise _damaged("a safetensors file is truncated", path, f"{size} bytes, header incomplete", fix)
        header = _parse(file.read(length), path, fix)
    end, shapes = _read(header, path, fix)
    if floats:
        _refuse_integers(header, path, fix)
    expected = PREFIX_BYTES + length + end
    if size != expected:
        what = "a safetensors file is truncated" if size < expected else "a safetensors file is too long"
        raise _damaged(what, path, f"{size} bytes where its header says {expected}", fix)
    return shapes


def _refuse_integers(header: dict[str, Any], path: Path, fix: str) -> None:
    """Refuse integer weights: libraries would load them as other values without a warning."""
    for name, entry in header.items():
        if name != "__metadata__" and not name.endswith(COUNTERS) and not entry["dtype"].startswith(FLOATS):
            details = f"{name[:80]}: {entry['dtype']}"
            raise _damaged("weights of a safetensors file are not floating-point", path, details, fix)


def check_finite(path: Path, fix: str) -> None:
    """Refuse weights with a NaN or an infinity, whose errors would appear far from their cause.

    Args:
        path: a file that passed :func:`check`.
        fix: how to fix it, for the message.

    Raises:
        UvlpError: weights are not finite; names the tensor.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(PREFIX_BYTES), "little")
        header = _parse(file.read(length), path, fix)
        for name, entry in header.items():
            if entry.get("dtype") not in EXPONENTS:
                continue
            try:
                first, last = entry["data_offsets"]
                file.seek(PREFIX_BYTES + length + first)
                finite = _are_finite(file, last - first, *EXPONENTS[entry["dtype"]])
            except (TypeError, ValueError):
                raise _damaged(CORRUPT, path, f"tensor {name}", fix) from None
            if not finite:
                what = f"weights are not finite (NaN or infinite): tensor {name}"
                raise UvlpError(what, got=str(path), fix=fix)


def _are_finite(file: IO[bytes], count: int, kind: str, exponent: int) -> bool:
    """Return whether all numbers in the next ``count`` bytes are finite."""
    import numpy

    for start in range(0, count, BLOCK_BYTES):
        bits = numpy.frombuffer(file.read(min(BLOCK_BYTES, count - start)), kind)
        if ((bits & numpy.array(exponent, kind)) == exponent).any():
            return False
    return True


def _parse(text: bytes, path: Path, fix: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise _damaged(CORRUPT, path, "not a JSON object", fix)
    return header


def _read(header: dict[str, Any], path: Path, fix: str) -> tuple[int, Shapes]:
    """Return the end of the last tensor and all shapes; tensors must be contiguous."""
    ranges, shapes = [], {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            shapes[name], offsets = _tensor(entry)
        except (TypeError, KeyError, ValueError):
            raise _damaged(CORRUPT, path, f"tensor {name[:80]}", fix) from None
        ranges.append((*offsets, name))
    end = 0
    for begin, stop, name in sorted(ranges):
        if begin != end:
            raise _damaged(CORRUPT, path, f"tensor {name[:80]} begins at {begin}, not at {end}", fix)
        end = stop
    return end, shapes


def _tensor(entry: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return shape and offsets of a tensor.

    Raises:
        TypeError, KeyError, ValueError: the entry is invalid, or its length does not fit shape and dtype.
    """
    shape, (begin, stop) = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or any(
        type(each) is not int or each < 0 for each in (*shape, begin, stop)
    ):
        raise TypeError("not integers")
    bits = BITS.get(entry["dtype"])  # newer dtypes are not checked
    if stop < begin or (bits is not None and math.prod(shape) * bits != (stop - begin) * 8):
        raise ValueError("the length does not fit shape and dtype")
    return tuple(shape), (begin, stop)


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(40).decode("ascii", "replace")


def _damaged(what: str, path: Path, details: str, fix: str) -> UvlpError:
    return UvlpError(f"{what} ({details})", got=str(path), fix=fix)
