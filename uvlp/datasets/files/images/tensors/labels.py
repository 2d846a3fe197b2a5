"""Labels of a tensor file: class indices, probabilities, or logits that are softened at a temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvlp.core.errors import UvlpError
from uvlp.core.wording import kind_of
from uvlp.datasets.files.images.tensors.parts import is_array
from uvlp.recipes.requests.reading import LABEL_KINDS, Reading

if TYPE_CHECKING:
    import numpy

TOLERANCE = 1e-3
"""Difference of a sum of probabilities from 1; float16 rounds a thousand of them by less."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of N images.

    Attributes:
        kind: one of `LABEL_KINDS`.
        hard: int64 [N], class indices; of soft labels the most probable class.
        soft: float32 [N,C], probabilities, of logits at the temperature; None for integers.
    """

    kind: str
    hard: numpy.ndarray
    soft: numpy.ndarray | None


def read(found: Any, count: int, classes: int, reading: Reading, where: str) -> Labels:
    """Check and convert labels.

    Args:
        found: an integer array [N], or floating-point [N,classes].
        count: number of images.
        classes: number of classes of the dataset.
        reading: what the user stated.
        where: file and key, for errors.

    Raises:
        UvlpError: another shape, dtype or count, labels per epoch, an index out of range, values that are
            not finite, or soft labels of an unclear kind.
    """
    if (
        not is_array(found)
        or found.ndim > 2
        or (found.ndim == 2 and len(found) != count and _per_epoch(found, count))
    ):
        got = kind_of(found) if is_array(found) else f"a {kind_of(found)}"
        allowed = f"[{count}] class indices, or [{count}, {classes}] probabilities or logits"
        fix = "labels per epoch (FKD) cannot be used; the protocol rded makes them with its teacher"
        raise UvlpError(f"{where}: not one label per image", got=got, allowed=allowed, fix=fix)
    if len(found) != count:
        what = f"{where}: another number of labels than images"
        raise UvlpError(what, got=len(found), allowed=f"{count}, as there are images")
    flat = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    if flat.ndim == 1:
        return _integers(flat, classes, reading, where)
    return _soft(flat, classes, reading, where)


def _per_epoch(found: numpy.ndarray, count: int) -> bool:
    """Return whether an array [epochs, N] has a label of every image for every epoch."""
    return found.shape[1] == count


def _integers(found: numpy.ndarray, classes: int, reading: Reading, where: str) -> Labels:
    import numpy

    if found.dtype.kind not in "iu" or reading.label_kind not in ("", "integers"):
        got = f"{kind_of(found)}" + (f" as {reading.label_kind}" if reading.label_kind else "")
        raise UvlpError(
            f"{where}: labels of a wrong dtype", got=got, allowed="integers [N], or floats [N, classes]"
        )
    outside = found[(found < 0) | (found >= classes)]
    if len(outside):
        what = f"{where}: a label that is no class of the dataset"
        raise UvlpError(what, got=int(outside[0]), allowed=f"0 to {classes - 1}")
    return Labels("integers", found.astype(numpy.int64), None)


def _soft(found: numpy.ndarray, classes: int, reading: Reading, where: str) -> Labels:
    import numpy

    if found.dtype.kind != "f" or found.shape[1] != classes:
        allowed = f"floating-point [{len(found)}, {classes}], a column per class"
        raise UvlpError(
            f"{where}: soft labels of a wrong shape or dtype", got=kind_of(found), allowed=allowed
        )
    values = found.astype(numpy.float32)
    if not numpy.isfinite(values).all():
        raise UvlpError(
            f"{where}: labels that are not finite", got="NaN or infinity", allowed="finite numbers"
        )
    sums = values.sum(axis=1, dtype=numpy.float64)
    are_probabilities = bool(values.min() >= 0) and bool((abs(sums - 1) <= TOLERANCE).all())
    kind = reading.label_kind or ("probabilities" if are_probabilities else "")
    if kind == "logits":
        return Labels(kind, values.argmax(1), softened(values, reading.temperature or 1.0))
    if kind != "probabilities" or not are_probabilities:
        raise UvlpError(
            f"{where}: soft labels that are no probabilities",
            got=f"values from {float(values.min()):.4g}, sums {sums.min():.4g} to {sums.max():.4g}",
            allowed="at least 0 with sum 1" if kind else ", ".join(LABEL_KINDS[1:]),
            fix="for logits: --label-kind logits --temperature T",
        )
    return Labels(kind, values.argmax(1), values)


def softened(logits: numpy.ndarray, temperature: float) -> numpy.ndarray:
    """Return softmax(logits / T) of float32 [N,C], computed in float64."""
    import numpy

    scaled = logits.astype(numpy.float64) / temperature
    powers = numpy.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: numpy.ndarray = (powers / powers.sum(axis=1, keepdims=True)).astype(numpy.float32)
    return result
