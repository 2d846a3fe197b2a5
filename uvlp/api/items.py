"""Images and labels from arrays, tensors and datasets of other libraries."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from uvlp.core.errors import UvlpError

if TYPE_CHECKING:
    import numpy

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img", "images"), ("label", "labels", "fine_label")
CHANNELS = (1, 3)
PIXELS = "uint8, or floats of one shape"


@dataclass(frozen=True, slots=True)
class Item:
    """An image uint8 [H, W, 3] and its class index."""

    pixels: numpy.ndarray
    label: int


def array(value: Any) -> numpy.ndarray:
    """Return an image, images or labels as an array; a tensor is copied from its device.

    Raises:
        UvlpError: it is none, or its items differ in shape.
    """
    import numpy

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    elif hasattr(value, "convert") and hasattr(value, "getbands"):  # an image of PIL
        value = value.convert("RGB")
    elif isinstance(value, list | tuple) and any(hasattr(each, "detach") for each in value):
        value = [array(each) for each in value]
    try:
        return numpy.asarray(value)
    except (TypeError, ValueError) as error:
        got = type(value).__name__
        raise UvlpError("images that are no array", got=got, allowed="one size for all images") from error


def has_floats(dataset: Any) -> bool:
    """Return whether the first image of a dataset has floating-point pixels.

    Raises:
        UvlpError: its first item is no image with a label.
    """
    return len(dataset) > 0 and array(_parts(dataset[0], 0)[0]).dtype.kind == "f"


def stacked(dataset: Any) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the images and labels of a dataset, read once in order.

    Raises:
        UvlpError: an item is no image with a label, or has another shape or dtype than the first.
    """
    import numpy

    images, labels = zip(*(map(array, _parts(dataset[k], k)) for k in range(len(dataset))), strict=True)
    for index, image in enumerate(images):
        if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            got, allowed = f"{image.dtype} {image.shape}", f"{images[0].dtype} {images[0].shape}"
            raise UvlpError(f"image {index} is not like image 0", got=got, allowed=allowed)
    return numpy.stack(images), array(list(labels))


def of_dataset(dataset: Any) -> Callable[[], Iterator[Item]]:
    """Return what reads a dataset in order: items are ``(image, label)`` or have columns of these names."""
    return partial(_read_dataset, dataset)


def _read_dataset(dataset: Any) -> Iterator[Item]:
    for index in range(len(dataset)):
        image, label = _parts(dataset[index], index)
        pixels = array(image)
        if pixels.ndim not in (2, 3) or 0 in pixels.shape:
            allowed = "[H, W], [H, W, C] or [C, H, W] with 1 or 3 channels"
            raise UvlpError(f"the shape of image {index} is not supported", got=pixels.shape, allowed=allowed)
        if pixels.dtype != "uint8":
            what = f"the dtype of image {index} is not supported"
            raise UvlpError(what, got=str(pixels.dtype), allowed=PIXELS)
        yield Item(_rgb(pixels), _label(label, index))


def _parts(item: Any, index: int) -> tuple[Any, Any]:
    """Return image and label of an item."""
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    if isinstance(item, dict):
        images = [name for name in IMAGE_COLUMNS if name in item]
        labels = [name for name in LABEL_COLUMNS if name in item]
        if images and labels:
            return item[images[0]], item[labels[0]]
        allowed = f"one of {', '.join(IMAGE_COLUMNS)} and one of {', '.join(LABEL_COLUMNS)}"
        raise UvlpError("the dataset has no columns of these names", got=", ".join(item), allowed=allowed)
    what = f"item {index} of the dataset is no image with a label"
    raise UvlpError(what, got=type(item).__name__, allowed="(image, label), or columns image and label")


def _rgb(image: numpy.ndarray) -> numpy.ndarray:
    """Return an image as [H, W, 3].

    Raises:
        UvlpError: neither its first nor its last axis can be that of the channels, or both.
    """
    import numpy

    if image.ndim == 2:
        image = image[..., None]
    first, last = image.shape[0] in CHANNELS, image.shape[2] in CHANNELS
    if first == last:
        what = "the channels of images of this shape are ambiguous" if first else "images without channels"
        raise UvlpError(what, got=image.shape, allowed="[H, W, C] or [C, H, W] with 1 or 3 channels")
    image = image.transpose(1, 2, 0) if first else image
    return numpy.ascontiguousarray(numpy.broadcast_to(image, (*image.shape[:2], 3)))


def _label(label: Any, index: int) -> int:
    """Return the class index of an image.

    Raises:
        UvlpError: something else than an integer.
    """
    found = array(label)
    if found.shape != () or found.dtype.kind not in "iu":
        what, got = f"the label of image {index} is no class index", f"{found.dtype} {found.shape}"
        raise UvlpError(what, got=got, allowed="an integer; soft labels beside float images, or as arrays")
    return operator.index(found[()])
