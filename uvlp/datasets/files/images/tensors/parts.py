"""Which tensors of a file are the images and which the labels, by the names that the field uses.

DC, DSA and DM save ``{"data": [[images, labels], ...]}`` with a pair per experiment, DATM one pair, IDC a
pair alone; MTT saves `images_best.pt` with `labels_best.pt` beside it; others a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.wording import first_few, kind_of

IMAGES = (
    *("images", "image", "data", "x", "syn", "image_syn", "images_syn", "syn_images", "syn_data"),
    *("x_train", "pixel_values", "img", "imgs"),
)
LABELS = (
    *("labels", "label", "targets", "target", "y", "label_syn", "labels_syn", "syn_labels", "syn_label"),
    *("y_train", "soft_labels", "logits", "probabilities"),
)
PAIR = "a pair [images, labels]"
ALLOWED = (
    f"tensors called images and labels (or {', '.join(IMAGES[2:5])}; {', '.join(LABELS[2:5])}), or {PAIR}"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The arrays of a file, with their names in it for messages; ``labels`` is None if it has none."""

    images: Any
    images_key: str
    labels: Any
    labels_key: str


def labels_beside(path: Path) -> Path | None:
    """Return the labels' file of a file that has images alone: `labels_best.pt` of `images_best.pt`."""
    if not path.name.startswith("images"):
        return None
    beside = path.with_name(f"labels{path.name.removeprefix('images')}")
    return beside if beside.is_file() else None


def split(content: Any, path: Path) -> Parts:
    """Find images and labels in the content of a file.

    Raises:
        UvlpError: none, several, or several experiments; a part that is not a tensor.
    """
    if is_array(content):
        return Parts(content, "the tensor", None, "")
    if isinstance(content, Mapping):
        return _named(content, path)
    pair = _pair(content)
    if pair is None:
        raise _unknown(path, _described(content))
    return Parts(pair[0], "item 0", pair[1], "item 1")


def alone(content: Any, path: Path) -> tuple[Any, str]:
    """Return the labels of a file that has labels alone, and their name in it.

    Raises:
        UvlpError: it has something else.
    """
    if is_array(content):
        return content, "the tensor"
    name = _only(content, LABELS, path) if isinstance(content, Mapping) else None
    if name is None:
        raise UvlpError(f"{path} has no labels", got=_described(content), allowed="one tensor")
    return content[name], name


def is_array(value: Any) -> bool:
    """Return whether it is a numpy array."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _named(content: Mapping[Any, Any], path: Path) -> Parts:
    images = _only(content, IMAGES, path)
    if images is None:
        raise _unknown(path, _described(content))
    found = content[images]
    if not is_array(found):
        return _experiment(found, images, path)
    labels = _only(content, LABELS, path)
    return Parts(found, images, None if labels is None else content[labels], labels or "")


def _experiment(found: Any, key: str, path: Path) -> Parts:
    """Return the parts of DC's list of experiments, which must be one."""
    pair, inside = _pair(found), key
    if pair is None and isinstance(found, Sequence) and all(_pair(each) is not None for each in found):
        if len(found) != 1:
            raise UvlpError(
                f"{path}: {key} holds several experiments",
                got=len(found),
                allowed="one",
                fix="save each in a file of its own and score them as seeds: NAME=FILE,FILE,...",
            )
        pair, inside = _pair(found[0]), f"{key}[0]"
    if pair is None:
        raise UvlpError(f"{path}: {key} is no tensor", got=_described(found), allowed=f"a tensor, or {PAIR}")
    return Parts(pair[0], f"{inside}[0]", pair[1], f"{inside}[1]")


def _pair(value: Any) -> tuple[Any, Any] | None:
    if isinstance(value, Sequence) and len(value) == 2 and is_array(value[0]) and value[0].ndim > 2:
        return value[0], value[1]
    return None


def _only(content: Mapping[Any, Any], names: Sequence[str], path: Path) -> str | None:
    """Return the one key that is among ``names``, whatever its case; None if there is none."""
    found = [key for key in content if isinstance(key, str) and key.lower() in names]
    if len(found) > 1:
        what = f"{path} has several tensors that may be the {names[0]}"
        raise UvlpError(
            what, got=first_few(found), allowed="one of them", fix="save a file without the others"
        )
    return found[0] if found else None


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"keys {first_few(map(str, value))}" if value else "no tensors"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} items: {first_few(map(kind_of, value))}"
    return kind_of(value)


def _unknown(path: Path, got: str) -> UvlpError:
    return UvlpError(f"{path} has no images", got=got, allowed=ALLOWED)
