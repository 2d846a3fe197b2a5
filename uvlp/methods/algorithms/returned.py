"""Check what a method returns; errors name its file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Integral
from typing import TYPE_CHECKING, Any

from uvlp.artifacts.prototypes import Prototype
from uvlp.core.errors import wrong_return
from uvlp.core.wording import kind_of
from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput

if TYPE_CHECKING:
    import numpy


def check_rows(returned: Any, inputs: MethodInput, file: str, *, whole_set: bool) -> list[list[int]]:
    """Check what `select` of the method in ``file`` returned; return it as Python integers.

    Args:
        returned: rows per class.
        inputs: the method's input.
        whole_set: the method may select any number of images.

    Raises:
        UvlpError: rows of another class, too few, too many, or the same row twice.
    """
    wanted = f"a list of rows for each of the {len(inputs.classes)} classes"
    _check_count(returned, len(inputs.classes), file, "select", wanted)
    pairs = zip(returned, inputs.classes, strict=True)
    return [_rows(rows, data, inputs.ipc, file, whole_set) for rows, data in pairs]


def _rows(returned: Any, data: ClassData, ipc: int, file: str, whole_set: bool) -> list[int]:
    count = "any number of" if whole_set else f"{ipc} different"
    wanted = f"{count} rows of the class {data.id}, out of its `rows`"
    if not _is_sequence(returned):
        raise wrong_return(file, "select", wanted, kind_of(returned))
    of_class = set(data.rows)
    if invalid := [row for row in returned if not isinstance(row, Integral) or row not in of_class]:
        raise wrong_return(file, "select", wanted, invalid[0])
    rows = [int(row) for row in returned]
    if len(set(rows)) != len(rows):
        raise wrong_return(file, "select", wanted, "a duplicate row")
    if not rows or (not whole_set and len(rows) != ipc):
        raise wrong_return(file, "select", wanted, f"{len(rows)} rows")
    return rows


def check_batch(
    returned: Any, made: Set[int], count: int, file: str
) -> tuple[list[int], Sequence[numpy.ndarray]]:
    """Check a batch from `sample` of the method in ``file``; return its rows and images.

    Args:
        returned: rows and images.
        made: rows of earlier batches of this run.
        count: number of all images.

    Raises:
        UvlpError: a row out of range or for a second time, or images of another shape or dtype.
    """
    wanted = "pairs of rows and images, uint8 [n, H, W, 3]"
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise wrong_return(file, "sample", wanted, kind_of(returned))
    rows, images = [int(row) for row in returned[0]], returned[1]
    if invalid := [row for row in rows if not 0 <= row < count or row in made]:
        what = f"rows from 0 to {count - 1}, each once"
        raise wrong_return(file, "sample", what, invalid[0])
    if len(set(rows)) != len(rows) or len(images) != len(rows):
        raise wrong_return(file, "sample", wanted, f"{len(images)} images for the rows {rows}")
    for image in images:
        if str(getattr(image, "dtype", "")) != "uint8" or image.ndim != 3 or image.shape[2] != 3:
            raise wrong_return(file, "sample", wanted, kind_of(image))
    return rows, images


def check_all(done: int, count: int, file: str) -> None:
    """Check that `sample` of the method in ``file`` returned all images.

    Raises:
        UvlpError: some are missing.
    """
    if done != count:
        raise wrong_return(file, "sample", f"{count} images", f"{done} of them")


def check_results(returned: Any, inputs: MethodInput, file: str) -> Iterator[ClassResult]:
    """Check what `prototypes` of the method in ``file`` returned, and yield it class by class.

    Args:
        returned: a sequence, or an iterator, of which one class is in memory at a time.
        inputs: the method's input.
        file: of the method, for errors.

    Raises:
        UvlpError: not a `ClassResult` per class, or one with invalid counts, shapes, dtypes, texts or rows.
    """
    wanted, count = "one ClassResult per class", len(inputs.classes)
    if not isinstance(returned, Iterator):
        _check_count(returned, count, file, "prototypes", wanted)
    results = iter(returned)
    shape: tuple[int, ...] = ()
    for done, data in enumerate(inputs.classes):
        result = next(results, _END)
        if result is _END:
            raise wrong_return(file, "prototypes", wanted, f"{done} of them")
        if not isinstance(result, ClassResult):
            raise wrong_return(file, "prototypes", wanted, f"{kind_of(result)} among them")
        shape = _check_latents(result.latents, data, inputs.ipc, shape, file)
        _check_prototypes(result.prototypes, data, inputs.ipc, file)
        _check_notes(result.notes, file)
        yield result
    if next(results, _END) is not _END:
        raise wrong_return(file, "prototypes", wanted, f"more than {count} of them")


_END = object()


def _check_latents(
    latents: Any, data: ClassData, ipc: int, before: tuple[int, ...], file: str
) -> tuple[int, ...]:
    """Check the latents of a class; return the shape of one, which is the same for all classes."""
    import numpy

    expected = _latent_shape(data) or before
    sides = ", ".join(map(str, expected or (4, "h", "w")))
    wanted = f"latents float32 [{ipc}, {sides}] for the class {data.id}"
    valid = isinstance(latents, numpy.ndarray) and latents.dtype == numpy.float32 and latents.ndim == 4
    if not valid or len(latents) != ipc or latents.shape[1:] != (expected or latents.shape[1:]):
        raise wrong_return(file, "prototypes", wanted, kind_of(latents))
    if not numpy.isfinite(latents).all():
        slot = int(numpy.argwhere(~numpy.isfinite(latents))[0][0])
        raise wrong_return(
            file, "prototypes", f"finite {wanted}", f"a value that is not finite in slot {slot}"
        )
    return tuple(latents.shape[1:])


def _latent_shape(data: ClassData) -> tuple[int, ...]:
    return tuple(data.arrays["latents"][[]].shape[1:]) if "latents" in data.arrays else ()


def _check_prototypes(returned: Any, data: ClassData, ipc: int, file: str) -> None:
    wanted = f"{ipc} of artifacts/prototypes.py's Prototype for the class {data.id}"
    _check_count(returned, ipc, file, "prototypes", wanted)
    rows = set(data.rows)
    for slot, each in enumerate(returned):
        if not isinstance(each, Prototype):
            raise wrong_return(file, "prototypes", wanted, f"{kind_of(each)} among them")
        for name, value, expected in (("class_id", each.class_id, data.id), ("slot", each.slot, slot)):
            if value != expected:
                raise wrong_return(file, "prototypes", f"{name} {expected!r} in prototype {slot}", value)
        if not isinstance(each.text, str):
            raise wrong_return(file, "prototypes", f"a text in prototype {slot}", kind_of(each.text))
        for name in ("members", "latent_members"):
            invalid = [row for row in getattr(each, name) if type(row) is not int or row not in rows]
            if invalid:
                rule = f"{name} out of the rows of the class {data.id}, as Python integers"
                raise wrong_return(file, "prototypes", rule, f"{kind_of(invalid[0])} {invalid[0]}")
        _check_json(each.details, file, "details")


def _check_notes(notes: Any, file: str) -> None:
    wanted = "notes that are integers by what they count"
    if not isinstance(notes, Mapping):
        raise wrong_return(file, "prototypes", wanted, kind_of(notes))
    for name, count in notes.items():
        if not isinstance(name, str) or type(count) is not int:
            raise wrong_return(file, "prototypes", wanted, f"{name}: {kind_of(count)}")


def _check_json(value: Any, file: str, name: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise wrong_return(file, "prototypes", f"{name} that can be stored as JSON", str(error)) from error


def _check_count(returned: Any, count: int, file: str, function: str, wanted: str) -> None:
    if not _is_sequence(returned):
        raise wrong_return(file, function, wanted, kind_of(returned))
    if len(returned) != count:
        raise wrong_return(file, function, wanted, f"{len(returned)} of them")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
