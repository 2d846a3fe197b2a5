"""Low-pass filters, and the leaky ReLU between two of them (Karras et al. 2021, section 3, appendix C)."""

from __future__ import annotations

import math

import numpy
import torch
from scipy.signal import firwin, kaiser_atten, kaiser_beta
from scipy.special import j1
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, pad

SLOPE = 0.2


def low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Return a Kaiser-windowed sinc, [taps] in float32 with sum 1.

    Args:
        taps: its length.
        cutoff, half_width: centre of the transition band and half of its width.
        rate: sampling rate.
    """
    return torch.as_tensor(firwin(taps, cutoff, width=2 * half_width, fs=rate), dtype=torch.float32)


def radial_low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Return a jinc under a Kaiser window of each axis, [taps, taps] in float32 with sum 1.

    ``taps`` is even, so that no sample lies in the centre, where the quotient of the jinc is not defined.
    """
    positions = (numpy.arange(taps) - (taps - 1) / 2) / rate
    radius = numpy.hypot(positions[:, None], positions[None, :])
    jinc = j1(2 * math.pi * cutoff * radius) / (math.pi * radius)
    window = numpy.kaiser(taps, kaiser_beta(kaiser_atten(taps, 2 * half_width / (rate / 2))))
    made = jinc * numpy.outer(window, window)
    return torch.as_tensor(made / made.sum(), dtype=torch.float32)


def upsampled(maps: Tensor, kernel: Tensor | None, factor: int, padding: tuple[int, int]) -> Tensor:
    """Return maps [n, c, h, w] at ``factor`` times their rate, [n, c, h', w'].

    Zeros are inserted after every sample, ``padding`` samples are added at the beginning and the end of every
    axis (negative: removed), and the result is convolved with the filter [taps] along both axes, wherever it
    fits; h' = factor * h + sum(padding) - taps + 1.
    """
    first, last = padding
    taps = 1 if kernel is None else len(kernel)
    for axis in (2, 3):
        size = factor * maps.shape[axis] + first + last - taps + 1
        if kernel is not None:
            # A transposed convolution is the convolution of samples with zeros between them.
            maps = _each_channel(maps, factor * _along(kernel, axis), factor, axis, transposed=True)
        begin = first - taps + 1
        maps = _padded(maps, begin, size - begin - maps.shape[axis], axis)
    return maps


def downsampled(maps: Tensor, kernel: Tensor | None, factor: int) -> Tensor:
    """Return maps at a rate lower by ``factor``, convolved with the filter wherever it fits.

    Args:
        maps: [n, c, h, w].
        kernel: [taps], along both axes, or [taps, taps]; symmetric, so that its direction is irrelevant.
        factor: every how many samples are kept, from the first on.
    """
    if kernel is None:
        return maps[:, :, ::factor, ::factor]
    if kernel.ndim == 2:
        n, channels, *sides = maps.shape
        made = conv2d(maps.reshape(n * channels, 1, *sides), kernel[None, None].to(maps), stride=factor)
        return made.reshape(n, channels, *made.shape[2:])
    for axis in (2, 3):
        maps = _each_channel(maps, _along(kernel, axis), factor, axis, transposed=False)
    return maps


def filtered_leaky_relu(
    maps: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    *,
    up: int,
    down: int,
    padding: tuple[int, int],
    clamp: float,
) -> Tensor:
    """Return a leaky ReLU, times the square root of 2, of the signal that the maps sample.

    Args:
        maps: [n, c, h, w].
        up_filter, down_filter: see `upsampled` and `downsampled`.
        up, down, padding: see `architecture.Layer`.
        clamp: largest magnitude after the activation.
    """
    maps = upsampled(maps, up_filter, up, padding)
    maps = (leaky_relu(maps, SLOPE) * math.sqrt(2)).clamp(-clamp, clamp)
    return downsampled(maps, down_filter, down)


def _along(kernel: Tensor, axis: int) -> Tensor:
    """Return the filter as [1, 1, taps, 1] or [1, 1, 1, taps]."""
    return kernel.reshape((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))


def _each_channel(maps: Tensor, kernel: Tensor, factor: int, axis: int, *, transposed: bool) -> Tensor:
    n, channels, *sides = maps.shape
    stride = (factor, 1) if axis == 2 else (1, factor)
    convolve = conv_transpose2d if transposed else conv2d
    made: Tensor = convolve(maps.reshape(n * channels, 1, *sides), kernel.to(maps), stride=stride)
    return made.reshape(n, channels, *made.shape[2:])


def _padded(maps: Tensor, begin: int, end: int, axis: int) -> Tensor:
    return pad(maps, (0, 0, begin, end) if axis == 2 else (begin, end))
