"""From an array of images to RGB images: layout, dtype and range; float values are kept, never clamped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError
from uvlp.core.wording import kind_of
from uvlp.recipes.requests.reading import LAYOUTS, Reading

if TYPE_CHECKING:
    import numpy

CHANNELS = (1, 3)
LARGEST_BYTE = 255
GREY = "nhw"
"""Layout of images without an axis of channels."""
AXES = {"nchw": 1, "nhwc": 3}
"""Axis of the channels."""


def rgb(images: numpy.ndarray, reading: Reading, where: str) -> numpy.ndarray:
    """Return images as [N,H,W,3]: uint8, or float32 with black 0 and white 1 and values beyond.

    Args:
        images: uint8 or floating-point, [N,C,H,W] or [N,H,W,C] with one or three channels, or [N,H,W].
        reading: what the user stated.
        where: file and key, for errors.

    Raises:
        UvlpError: another shape or dtype, an ambiguous layout, values that are not finite, or floats outside
            [0, 1] without a stated normalisation.
    """
    import numpy

    if images.dtype != numpy.uint8 and images.dtype.kind != "f":
        allowed = "uint8 or floating-point"
        raise UvlpError(f"{where}: images of another dtype", got=str(images.dtype), allowed=allowed)
    layout = layout_of(images, reading.layout, where)
    last = {"nhwc": images, "nhw": images[..., None]}.get(layout)
    last = numpy.moveaxis(images, 1, 3) if last is None else last
    colour = numpy.broadcast_to(last, (*last.shape[:3], 3))
    if images.dtype == numpy.uint8:
        if reading.mean:
            what = f"{where}: uint8 images are not normalised"
            raise UvlpError(what, got="--normalised", fix="omit it, or write --normalised none")
        return numpy.ascontiguousarray(colour)
    return _floats(colour, reading, where)


def layout_of(images: numpy.ndarray, stated: str, where: str) -> str:
    """Return the layout of an array of images, by the axis that has one or three channels.

    Raises:
        UvlpError: another shape, no images, or both axes could be the channels and ``stated`` is empty.
    """
    shape = images.shape
    if len(shape) == 3 and all(shape) and stated in ("", GREY):
        return GREY
    fitting = [name for name in LAYOUTS if len(shape) == 4 and shape[AXES[name]] in CHANNELS]
    if not fitting or not all(shape) or (stated and stated not in fitting):
        allowed = "[N,C,H,W] or [N,H,W,C] with 1 or 3 channels, or [N,H,W]" + (
            f", as {stated}" if stated else ""
        )
        raise UvlpError(f"{where}: images of a wrong shape", got=kind_of(images), allowed=allowed)
    if not stated and len(fitting) > 1:
        raise UvlpError(
            f"{where}: the order of the axes is ambiguous",
            got=kind_of(images),
            allowed=", ".join(LAYOUTS),
            fix="state it: --layout nchw or --layout nhwc",
        )
    return stated or fitting[0]


def _floats(images: numpy.ndarray, reading: Reading, where: str) -> numpy.ndarray:
    """Return float images with the stated normalisation undone, in float32."""
    import numpy

    values = images.astype(numpy.float32)
    if not numpy.isfinite(values).all():
        raise UvlpError(
            f"{where}: values that are not finite", got="NaN or infinity", allowed="finite numbers"
        )
    least, most = float(values.min()), float(values.max())
    if not reading.stated and (least < 0 or most > 1):
        scaled = least >= 0 and 2 < most <= LARGEST_BYTE
        byte_fix = f"--normalised 0,{1 / LARGEST_BYTE:.10f} divides by {LARGEST_BYTE}"
        pixel_fix = (
            "--normalised MEAN,STD undoes a normalisation; --normalised none takes 0 as black, 1 as white"
        )
        raise UvlpError(
            f"{where}: float images outside [0, 1]",
            got=f"{least:.4g} to {most:.4g}",
            allowed="[0, 1], or a stated normalisation",
            fix=byte_fix if scaled else pixel_fix,
        )
    if reading.mean:
        values = values * numpy.asarray(reading.std, numpy.float32) + numpy.asarray(
            reading.mean, numpy.float32
        )
    return values
