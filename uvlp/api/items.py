"""Single images with their labels, from arrays, tensors and datasets of other libraries: uint8 [H, W, 3]."""

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
SHAPES = "[N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels"
PIXELS = "uint8, or floats that are multiples of 1/255 from 0 to 1"


@dataclass(frozen=True, slots=True)
class Item:
    """An image uint8 [H, W, 3] and its class index."""

    pixels: numpy.ndarray
    label: int


def of_arrays(images: Any, labels: Any) -> Callable[[], Iterator[Item]]:
    """Return what reads arrays or tensors, image by image.

    Raises:
        UvlpError: a shape or dtype that is no image's, or other labels than one integer per image.
    """
    array = _array(images)
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise UvlpError("images of this shape are not supported", got=array.shape, allowed=SHAPES)
    _check_dtype(array)
    last = _channels_last(array.shape[1:])
    indices = _labels(labels, len(array))
    return partial(_read_arrays, array, indices, last)


def _read_arrays(array: numpy.ndarray, labels: list[int], channels_last: bool) -> Iterator[Item]:
    for index, (image, label) in enumerate(zip(array, labels, strict=True)):
        yield Item(_pixels(image, channels_last, f"image {index}"), label)


def of_dataset(dataset: Any) -> Callable[[], Iterator[Item]]:
    """Return what reads a dataset in order: items are ``(image, label)`` or have columns of these names."""
    return partial(_read_dataset, dataset)


def _read_dataset(dataset: Any) -> Iterator[Item]:
    for index in range(len(dataset)):
        image, label = _parts(dataset[index], index)
        array = _array(image)
        if array.ndim not in (2, 3) or 0 in array.shape:
            allowed = "[H, W], [H, W, C] or [C, H, W] with 1 or 3 channels"
            raise UvlpError(f"the shape of image {index} is not supported", got=array.shape, allowed=allowed)
        _check_dtype(array)
        (number,) = _labels([label], 1)
        yield Item(_pixels(array, _channels_last(array.shape), f"image {index}"), number)


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


def _array(value: Any) -> numpy.ndarray:
    """Return an image, images or labels as an array; a tensor is copied from its device."""
    import numpy

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    elif hasattr(value, "convert") and hasattr(value, "getbands"):  # an image of PIL
        value = value.convert("RGB")
    try:
        return numpy.asarray(value)
    except (TypeError, ValueError) as error:
        got = type(value).__name__
        raise UvlpError("images that are no array", got=got, allowed="one size for all images") from error


def _check_dtype(array: numpy.ndarray) -> None:
    if array.dtype.kind != "f" and array.dtype != "uint8":
        raise UvlpError("images of this dtype are not supported", got=str(array.dtype), allowed=PIXELS)


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Return whether the channels of an image are its last dimension; true without channels.

    Raises:
        UvlpError: neither dimension can be that of the channels, or both.
    """
    if len(shape) == 2:
        return True
    first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
    if first == last:
        what = "the channels of images of this shape are ambiguous" if first else "images without channels"
        raise UvlpError(what, got=shape, allowed="[H, W, C] or [C, H, W] with 1 or 3 channels")
    return last


def _pixels(image: numpy.ndarray, channels_last: bool, name: str) -> numpy.ndarray:
    """Return an image as uint8 [H, W, 3].

    Raises:
        UvlpError: floats that are not multiples of 1/255 from 0 to 1, which uint8 cannot hold.
    """
    import numpy

    if image.ndim == 2:
        image = image[..., None]
    elif not channels_last:
        image = image.transpose(1, 2, 0)
    if image.dtype != numpy.uint8:
        image = _integers(image, name)
    return numpy.ascontiguousarray(numpy.broadcast_to(image, (*image.shape[:2], 3)))


def _integers(image: numpy.ndarray, name: str) -> numpy.ndarray:
    """Return floats as uint8 if that loses nothing; float images beyond it would be stored here as floats."""
    import numpy

    low, high = image.min(), image.max()
    if not (low >= 0 and high <= 1):  # also NaN
        got = f"{float(low):.6g} to {float(high):.6g}"
        raise UvlpError(f"the pixels of {name} are out of range", got=got, allowed=PIXELS)
    numbers = numpy.rint(image.astype(numpy.float64) * 255)
    # As `ToTensor` of torchvision divides, in 32 bits, or in the array's own precision.
    exact = [
        (numbers.astype(kind) / kind(255)).astype(image.dtype) for kind in (numpy.float32, image.dtype.type)
    ]
    if not any(numpy.array_equal(image, each) for each in exact):
        what = f"the pixels of {name} are no multiples of 1/255"
        worst = float(numpy.abs(image * 255 - numbers).max())
        raise UvlpError(what, got=f"{worst:.3g} of 1/255 off", allowed=PIXELS, fix="round them to uint8")
    return numbers.astype(numpy.uint8)


def _labels(labels: Any, count: int) -> list[int]:
    """Return the class index of each image.

    Raises:
        UvlpError: no labels, another count, or other than integers.
    """
    if labels is None:
        raise UvlpError("the images have no labels", fix="give labels, a class index for each image")
    array = _array(labels)
    if array.shape != (count,):
        what = "the labels do not match the images"
        raise UvlpError(what, got=array.shape, allowed=f"[{count}], one class index per image")
    if array.dtype.kind not in "iu":
        raise UvlpError("labels of this dtype are not supported", got=str(array.dtype), allowed="integers")
    return [operator.index(label) for label in array]
