"""Which columns of a dataset of the hub are images, labels and captions: named, or recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.datasets.hub.address import NONE, Address

IMAGES = ("image", "img", "images", "jpg", "png", "pixel_values")
LABELS = ("label", "labels", "fine_label", "cls", "class", "target")
CAPTIONS = ("caption", "captions", "text")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns, and how the labels are to be read.

    Attributes:
        image: its values hold the bytes of an image file.
        label: a class for each image.
        caption: a text, or several, for each image; empty for none.
        names: of the classes in their order, if the column states them.
        texts: whether labels are texts, whose string order is that of the classes.
    """

    image: str
    label: str
    caption: str
    names: tuple[str, ...]
    texts: bool


def choose(features: Mapping[str, Any] | None, address: Address) -> Columns:
    """Find the columns.

    Args:
        features: of the library `datasets`, by column; None if it does not know them.
        address: with the columns that the user named.

    Raises:
        UvlpError: no such column, none or several that could be meant, or one of another type.
    """
    known = dict(features or {})
    image = address.image or _recognised("image", _images(known), IMAGES, known)
    label = address.label or _recognised("label", _labels(known), LABELS, known)
    caption = address.caption or _caption(known)
    for key, name in (("image", image), ("label", label), ("caption", caption)):
        if name not in known and name not in ("", NONE):
            raise _refused(key, f"no column of this name: {name}", known)
    if not _is_image(known[image]):
        raise _refused("image", f"the column {image} holds no image files", known)
    names, texts = _classes(label, known, named=bool(address.label))
    if caption not in ("", NONE) and _kind(known[caption]) not in ("string", "large_string"):
        raise _refused("caption", f"the column {caption} holds no texts", known)
    return Columns(image, label, "" if caption == NONE else caption, names, texts)


def _recognised(key: str, found: list[str], usual: tuple[str, ...], known: Mapping[str, Any]) -> str:
    """Return the only column of a fitting type, else the only one that also has a usual name."""
    named = [name for name in found if name.lower() in usual]
    for candidates in (named, found):
        if len(candidates) == 1:
            return candidates[0]
    if not found:
        raise _refused(key, f"no {key} column was recognised", known)
    raise _refused(key, f"several columns could be the {key}: {', '.join(named or found)}", known)


def _images(known: Mapping[str, Any]) -> list[str]:
    """Return the columns of images, else those with the bytes of files under a usual name."""
    images = [name for name, feature in known.items() if type(feature).__name__ == "Image"]
    return images or [name for name, each in known.items() if _is_image(each) and name.lower() in IMAGES]


def _labels(known: Mapping[str, Any]) -> list[str]:
    """Return the columns that name their classes, else integers under a usual name."""
    stated = [name for name, feature in known.items() if type(feature).__name__ == "ClassLabel"]
    return stated or [n for n, each in known.items() if _is_integer(each) and n.lower() in LABELS]


def _caption(known: Mapping[str, Any]) -> str:
    found = [name for name, feature in known.items() if name.lower() in CAPTIONS and _is_text(feature)]
    if len(found) > 1:
        what = f"several columns could be the captions: {', '.join(found)}"
        raise _refused("caption", what, known)
    return next(iter(found), "")


def _classes(label: str, known: Mapping[str, Any], *, named: bool) -> tuple[tuple[str, ...], bool]:
    """Return the names of the classes if they are stated, and whether the labels are texts."""
    feature = known[label]
    if type(feature).__name__ == "ClassLabel":
        return tuple(feature.names or ()), False
    if _is_integer(feature):
        return (), False
    if not named or not _is_text(feature):
        raise _refused("label", f"the column {label} holds no class labels", known)
    return (), True


def _refused(key: str, what: str, known: Mapping[str, Any]) -> UvlpError:
    columns = ", ".join(f"{name} ({_described(feature)})" for name, feature in known.items())
    fix = f"name it behind the address: ,{key}=COLUMN"
    if key == "label":
        fix += "; a column of texts is used if it is named, with its classes in string order"
    if key == "caption":
        fix += f", or ,{key}={NONE}"
    return UvlpError(what, got=columns or "no columns", fix=fix)


def _described(feature: Any) -> str:
    """Return the type of a column in a word."""
    return str(feature.dtype) if type(feature).__name__ == "Value" else type(feature).__name__


def _kind(feature: Any) -> str:
    """Return the type of a value, or of the items of a list."""
    inner = getattr(feature, "feature", feature)
    return str(getattr(inner, "dtype", ""))


def _is_text(feature: Any) -> bool:
    return _kind(feature) in ("string", "large_string")


def _is_integer(feature: Any) -> bool:
    return type(feature).__name__ == "Value" and str(feature.dtype).lstrip("u").startswith("int")


def _is_image(feature: Any) -> bool:
    """Return whether values are images, bytes of files, or structures with them."""
    if isinstance(feature, Mapping):
        return "bytes" in feature
    return type(feature).__name__ == "Image" or _described(feature) in ("binary", "large_binary")
