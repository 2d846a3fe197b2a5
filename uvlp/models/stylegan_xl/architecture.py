"""The layers of a StyleGAN-XL generator and their filters' bands, from its configuration; no torch.

Karras et al., Alias-Free Generative Adversarial Networks, NeurIPS 2021 (StyleGAN3), section 3 and appendix C:
cutoff and stopband frequencies grow geometrically from layer to layer, and every layer is sampled at the
lowest power of two that its stopband permits. Sauer et al., StyleGAN-XL, SIGGRAPH 2022, section 3.2: a stem
of low resolution loses its critically sampled layers to a super-resolution stage, whose bands go on from
those of the last layer that is left; further stages the same.

Frequencies and sampling rates are in cycles and samples per image side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

CLASSES = 1000
"""Those of ImageNet."""
CHANNELS = 3
FIRST_CUTOFF, FIRST_STOPBAND = 2.0, 2**2.1
LAST_STOPBAND = 2**0.3
"""Of the last layer, relative to its cutoff."""
CRITICAL = 2
"""Critically sampled layers before ToRGB."""
MARGIN_PX = 10
"""Beyond each side of the image, on all maps but the last two."""
LOBES, OVERSAMPLING = 6, 2
"""Filter taps per sample of the lower rate, and the rate of the activation relative to that of the maps."""
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Sizes of a generator; the defaults are those of the published one for ImageNet at 256 px.

    Attributes:
        z_dim, w_dim: of the random input, and of the latents.
        embed_dim: of the embedding of a class.
        mapping_layers: layers of the mapping network.
        stem_px: side of the stem's images.
        stem_layers: its layers without ToRGB.
        stages: super-resolution stages, each a factor of the side and a number of layers without ToRGB.
        channel_base: twice the cutoff times the channels of a layer.
        channel_max: most channels of a layer.
        conv_kernel: side of the convolutions: 3 (StyleGAN3-T) or 1 (StyleGAN3-R).
        radial: radially symmetric low-pass filters (StyleGAN3-R).
    """

    z_dim: int = 64
    w_dim: int = 512
    embed_dim: int = 320
    mapping_layers: int = 2
    stem_px: int = 16
    stem_layers: int = 10
    stages: tuple[tuple[int, int], ...] = ((2, 7),) * 4
    channel_base: int = 65536
    channel_max: int = 1024
    conv_kernel: int = 3
    radial: bool = False

    @property
    def side_px(self) -> int:
        """Side of the images."""
        return self.stem_px * math.prod(factor for factor, _ in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What a map can represent.

    Attributes:
        cutoff, half_width: of its low-pass filter: centre of the transition band, and half of its width.
        rate: samples per image side.
        side: of the map, with its margins.
        channels: of the map.
    """

    cutoff: float
    half_width: float
    rate: int
    side: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer, from a map to the next.

    Attributes:
        name: in checkpoints, e.g. ``L10_52_1024``; numbers have a gap where a stage begins.
        before, after: the maps.
        critical: whether the cutoff is half of the sampling rate.
        to_rgb: whether it is the last, without modulated weights' demodulation, filters and activation.
        kernel: side of its convolution.
        radial: whether its second filter is radially symmetric.
    """

    name: str
    before: Band
    after: Band
    critical: bool
    to_rgb: bool
    kernel: int
    radial: bool

    @property
    def rate(self) -> int:
        """The sampling rate of the activation."""
        return max(self.before.rate, self.after.rate) * (1 if self.to_rgb else OVERSAMPLING)

    @property
    def up(self) -> int:
        """Factor from the rate of the map before to that of the activation."""
        return self.rate // self.before.rate

    @property
    def down(self) -> int:
        """Factor from the rate of the activation to that of the map after."""
        return self.rate // self.after.rate

    @property
    def taps(self) -> tuple[int, int]:
        """Lengths of both filters; 1: none."""
        up, down = (1 if self.to_rgb or each == 1 else LOBES * each for each in (self.up, self.down))
        return up, down

    @property
    def padding(self) -> tuple[int, int]:
        """Samples added before and after rows and columns at the rate of the activation; negative: cropped.

        What remains after both filters is the map after; a filter of even length moves samples by half of
        one, which its first half of the padding takes back.
        """
        needed = (self.after.side - 1) * self.down + 1 + sum(self.taps) - 2
        total = needed - (self.before.side + self.kernel - 1) * self.up
        first = (total + self.up) // 2
        return first, total - first


def layers(sizes: Architecture) -> list[Layer]:
    """Return all layers, ToRGB last."""
    made = list(_layers(sizes, _bands(sizes, None, sizes.stem_px, sizes.stem_layers), number=0))
    side_px = sizes.stem_px
    for factor, count in sizes.stages:
        kept = [layer for layer in made if not layer.critical]
        side_px *= factor
        made = kept + list(
            _layers(sizes, _bands(sizes, kept[-1].after, side_px, count), number=len(kept) + 1)
        )
    return made


def _bands(sizes: Architecture, previous: Band | None, side_px: int, count: int) -> list[Band]:
    """Return the bands after ``count`` layers and ToRGB; the first is that of ``previous`` in a stage."""
    first, stop = FIRST_CUTOFF, FIRST_STOPBAND
    if previous is not None:
        first, stop = previous.cutoff, previous.cutoff + previous.half_width
    last = side_px / 2
    bands = []
    for index in range(count + 1):
        share = min(index / (count - CRITICAL), 1)
        cutoff = first * (last / first) ** share
        stopband = stop * (last * LAST_STOPBAND / stop) ** share
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, side_px)))
        bands.append(
            Band(
                cutoff=cutoff,
                half_width=max(stopband, rate / 2) - cutoff,
                rate=rate,
                side=side_px if index >= count - 1 else rate + 2 * MARGIN_PX,
                channels=round(min(sizes.channel_base / 2 / cutoff, sizes.channel_max)),
            )
        )
    bands[-1] = replace(bands[-1], channels=CHANNELS)
    return bands if previous is None else [previous, *bands[1:]]


def _layers(sizes: Architecture, bands: Sequence[Band], number: int) -> Iterator[Layer]:
    last = len(bands) - 1
    for index, after in enumerate(bands):
        critical = index >= last - CRITICAL
        yield Layer(
            name=f"L{number + index}_{after.side}_{after.channels}",
            before=bands[max(index - 1, 0)],
            after=after,
            critical=critical,
            to_rgb=index == last,
            kernel=1 if index == last else sizes.conv_kernel,
            radial=sizes.radial and not critical,
        )


def tensors(sizes: Architecture) -> dict[str, Shape]:
    """Return names and shapes of a checkpoint's tensors."""
    every = layers(sizes)
    channels, width = every[0].before.channels, sizes.w_dim
    found: dict[str, Shape] = {
        "mapping.embed.weight": (CLASSES, sizes.embed_dim),
        "mapping.w_avg": (CLASSES, width),
        "synthesis.input.freqs": (channels, 2),
        "synthesis.input.phases": (channels,),
        "synthesis.input.transform": (3, 3),
        "synthesis.input.weight": (channels, channels),
    }
    found |= _linear("mapping.embed_proj", sizes.z_dim, sizes.embed_dim)
    for index in range(sizes.mapping_layers):
        found |= _linear(f"mapping.fc{index}", width, 2 * sizes.z_dim if index == 0 else width)
    found |= _linear("synthesis.input.affine", 4, width)
    for layer in every:
        name, before, after = f"synthesis.{layer.name}", layer.before.channels, layer.after.channels
        found |= _linear(f"{name}.affine", before, width)
        found[f"{name}.weight"] = after, before, layer.kernel, layer.kernel
        found |= {f"{name}.bias": (after,), f"{name}.magnitude_ema": ()}
        up, down = layer.taps
        if up > 1:
            found[f"{name}.up_filter"] = (up,)
        if down > 1:
            found[f"{name}.down_filter"] = (down, down) if layer.radial else (down,)
    return found


def _linear(name: str, outputs: int, inputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
