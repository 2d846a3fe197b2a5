"""Is a safetensors file whole? Told from its header, without reading a weight.

The format: eight bytes with the length of the header (little endian), the header in JSON (name of each
tensor, its dtype, shape and place in the rest), and the rest. A download that stopped, or a page of text
that was saved under the name, is noticed here instead of in the middle of a run.
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

GARBLED = "the header of a safetensors file is garbled"
PREFIX_BYTES = 8
LONGEST_HEADER_BYTES = 100_000_000  # the library's own limit
FLOATS = ("F", "BF")
"""How the names of their types begin."""
COUNTERS = ("position_ids", "num_batches_tracked")
"""Names of what holds whole numbers beside the weights."""

BLOCK_BYTES = 1 << 24
# By dtype its bits as whole numbers, and those of the exponent, all of which a NaN or an infinity has.
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
"""Size of a number, by its type."""

Shapes = Mapping[str, tuple[int, ...]]


def check(path: Path, fix: str, *, floats: bool = False) -> Shapes:
    """The shapes of the tensors in ``path``, whose size must be what its header says.

    Args:
        fix: what mends a damaged file, for the reader.
        floats: whether it holds weights, which are no whole numbers.

    Raises:
        UvlpError: it is no safetensors file, a part of one, or has whole numbers where weights belong.
        OSError: it cannot be read.
    """
    size = check_regular(path, "file with weights")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(PREFIX_BYTES), "little")
        if not 2 <= length <= LONGEST_HEADER_BYTES:
            if is_torchscript(path):
                fix = "get the weights as safetensors"
                raise UvlpError(f"this is {TITLE}, not a safetensors file", got=str(path), fix=fix)
            # A page of text, or a pointer that git left in place of the weights, has letters here.
            raise _damaged("this is no safetensors file", path, f"it begins {_beginning(path)!r}", fix)
        if PREFIX_BYTES + length > size:
            raise _damaged("a safetensors file is truncated", path, f"{size} bytes, header not whole", fix)
        header = _parse(file.read(length), path, fix)
    end, shapes = _read(header, path, fix)
    if floats:
        _refuse_whole_numbers(header, path, fix)
    expected = PREFIX_BYTES + length + end
    if size != expected:
        what = "a safetensors file is truncated" if size < expected else "a safetensors file is too long"
        raise _damaged(what, path, f"{size} bytes where its header says {expected}", fix)
    return shapes


def _refuse_whole_numbers(header: dict[str, Any], path: Path, fix: str) -> None:
    """As whole numbers the bits of weights are read as others, and loaded without a word."""
    for name, entry in header.items():
        if name != "__metadata__" and not name.endswith(COUNTERS) and not entry["dtype"].startswith(FLOATS):
            found = f"{name[:80]}: {entry['dtype']}"
            raise _damaged("weights of a safetensors file are no floats", path, found, fix)


def check_finite(path: Path, fix: str) -> None:
    """Refuse weights with a NaN or an infinity, which whatever reads them would blame on something else.

    Args:
        path: of a file that :func:`check` found whole.
        fix: what mends it, for the reader.

    Raises:
        UvlpError: the tensor is named.
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
                what = "the header of a safetensors file is garbled"
                raise _damaged(what, path, f"tensor {name}", fix) from None
            if not finite:
                what = f"weights that are not numbers (NaN or infinite): tensor {name}"
                raise UvlpError(what, got=str(path), fix=fix)


def _are_finite(file: IO[bytes], count: int, kind: str, exponent: int) -> bool:
    """Of the next ``count`` bytes."""
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
        raise _damaged(GARBLED, path, "no JSON object", fix)
    return header


def _read(header: dict[str, Any], path: Path, fix: str) -> tuple[int, Shapes]:
    """End of the last tensor, and all shapes; the tensors lie one behind the other, without gaps."""
    places, shapes = [], {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            shapes[name], place = _tensor(entry)
        except (TypeError, KeyError, ValueError):
            raise _damaged(GARBLED, path, f"tensor {name[:80]}", fix) from None
        places.append((*place, name))
    end = 0
    for begin, stop, name in sorted(places):
        if begin != end:
            raise _damaged(GARBLED, path, f"tensor {name[:80]} begins at {begin}, not at {end}", fix)
        end = stop
    return end, shapes


def _tensor(entry: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shape and place of a tensor.

    Raises:
        TypeError, KeyError, ValueError: the entry is none, or its place is not as long as its numbers.
    """
    shape, (begin, stop) = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or any(
        type(each) is not int or each < 0 for each in (*shape, begin, stop)
    ):
        raise TypeError("no whole numbers")
    bits = BITS.get(entry["dtype"])  # a number type that came after this list is taken as it is
    if stop < begin or (bits is not None and math.prod(shape) * bits != (stop - begin) * 8):
        raise ValueError("another length than its numbers need")
    return tuple(shape), (begin, stop)


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(40).decode("ascii", "replace")


def _damaged(what: str, path: Path, found: str, fix: str) -> UvlpError:
    return UvlpError(f"{what} ({found})", got=str(path), fix=fix)
