"""What a method returns is checked when it returns it, by the name of its file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from uvlp.artifacts.prototypes import Prototype
from uvlp.core.errors import wrong_return
from uvlp.core.wording import kind_of
from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput

if TYPE_CHECKING:
    pass


def check_rows(found: Any, given: MethodInput, file: str, *, whole: bool) -> list[list[int]]:
    """What `select` of the method in ``file`` returned, as plain numbers.

    Args:
        found: rows per class.
        given: what the method was handed.
        whole: it takes all images, however many there are.

    Raises:
        UvlpError: rows of another class, too few, too many, or the same row twice.
    """
    wanted = f"a list of rows for each of the {len(given.classes)} classes"
    _check_count(found, len(given.classes), file, "select", wanted)
    return [
        _rows(rows, data, given.ipc, file, whole) for rows, data in zip(found, given.classes, strict=True)
    ]


def _rows(found: Any, data: ClassData, ipc: int, file: str, whole: bool) -> list[int]:
    count = "any number of" if whole else f"{ipc} different"
    wanted = f"{count} rows of the class {data.id}, out of its `rows`"
    if not _is_sequence(found):
        raise wrong_return(file, "select", wanted, kind_of(found))
    own = set(data.rows)
    if strange := [row for row in found if not isinstance(row, Integral) or row not in own]:
        raise wrong_return(file, "select", wanted, strange[0])
    rows = [int(row) for row in found]
    if len(set(rows)) != len(rows):
        raise wrong_return(file, "select", wanted, "one row twice")
    if not rows or (not whole and len(rows) != ipc):
        raise wrong_return(file, "select", wanted, f"{len(rows)} rows")
    return rows


def check_results(found: Any, given: MethodInput, file: str) -> list[ClassResult]:
    """What `prototypes` of the method in ``file`` returned.

    Raises:
        UvlpError: not a `ClassResult` per class, or one with other counts, shapes, types, texts or numbers
            than it must have.
    """
    wanted = "one ClassResult per class"
    _check_count(found, len(given.classes), file, "prototypes", wanted)
    if strange := [each for each in found if not isinstance(each, ClassResult)]:
        raise wrong_return(file, "prototypes", wanted, f"{kind_of(strange[0])} among them")
    shape: tuple[int, ...] = ()
    for result, data in zip(found, given.classes, strict=True):
        shape = _check_latents(result.latents, data, given.ipc, shape, file)
        _check_prototypes(result.prototypes, data, given.ipc, file)
        _check_notes(result.notes, file)
    return list(found)


def _check_latents(
    latents: Any, data: ClassData, ipc: int, before: tuple[int, ...], file: str
) -> tuple[int, ...]:
    """The shape of one latent, which is that of all."""
    import numpy

    own = _latent_shape(data) or before
    sides = ", ".join(map(str, own or (4, "h", "w")))
    wanted = f"latents float32 [{ipc}, {sides}] for the class {data.id}"
    fits = isinstance(latents, numpy.ndarray) and latents.dtype == numpy.float32 and latents.ndim == 4
    if not fits or len(latents) != ipc or latents.shape[1:] != (own or latents.shape[1:]):
        raise wrong_return(file, "prototypes", wanted, kind_of(latents))
    if not numpy.isfinite(latents).all():
        slot = int(numpy.argwhere(~numpy.isfinite(latents))[0][0])
        raise wrong_return(file, "prototypes", f"finite {wanted}", f"a number that is none in slot {slot}")
    return tuple(latents.shape[1:])


def _latent_shape(data: ClassData) -> tuple[int, ...]:
    return tuple(data.arrays["latents"][[]].shape[1:]) if "latents" in data.arrays else ()


def _check_prototypes(found: Any, data: ClassData, ipc: int, file: str) -> None:
    wanted = f"{ipc} of artifacts/prototypes.py's Prototype for the class {data.id}"
    _check_count(found, ipc, file, "prototypes", wanted)
    rows = set(data.rows)
    for slot, each in enumerate(found):
        if not isinstance(each, Prototype):
            raise wrong_return(file, "prototypes", wanted, f"{kind_of(each)} among them")
        for name, value, right in (("class_id", each.class_id, data.id), ("slot", each.slot, slot)):
            if value != right:
                raise wrong_return(file, "prototypes", f"{name} {right!r} in prototype {slot}", value)
        if not isinstance(each.text, str):
            raise wrong_return(file, "prototypes", f"a text in prototype {slot}", kind_of(each.text))
        for name in ("members", "latent_members"):
            strange = [row for row in getattr(each, name) if type(row) is not int or row not in rows]
            if strange:
                told = f"{name} out of the rows of the class {data.id}, as plain numbers"
                raise wrong_return(file, "prototypes", told, f"{kind_of(strange[0])} {strange[0]}")
        _check_json(each.details, file, "details")


def _check_notes(notes: Any, file: str) -> None:
    wanted = "notes that are whole numbers by what they count"
    if not isinstance(notes, Mapping):
        raise wrong_return(file, "prototypes", wanted, kind_of(notes))
    for name, count in notes.items():
        if not isinstance(name, str) or type(count) is not int:
            raise wrong_return(file, "prototypes", wanted, f"{name}: {kind_of(count)}")


def _check_json(value: Any, file: str, name: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise wrong_return(file, "prototypes", f"{name} that JSON can hold", str(error)) from error


def _check_count(found: Any, count: int, file: str, function: str, wanted: str) -> None:
    if not _is_sequence(found):
        raise wrong_return(file, function, wanted, kind_of(found))
    if len(found) != count:
        raise wrong_return(file, function, wanted, f"{len(found)} of them")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
