"""The synthesis network: Fourier features, then convolutions whose weights the latents modulate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from uvlp.models.stylegan_xl.architecture import Band, Layer
from uvlp.models.stylegan_xl.filters import filtered_leaky_relu, low_pass, radial_low_pass
from uvlp.models.stylegan_xl.mapping import Linear

LARGEST = 256.0
"""Magnitude at which activations are clipped."""
EPSILON = 1e-8


class FourierFeatures(nn.Module):
    """Latents [n, w_dim] to moved and rotated waves, [n, channels, side, side] (Karras et al. 2021, F.1)."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(self, w_dim: int, band: Band) -> None:
        super().__init__()
        self._band = band
        self.weight = nn.Parameter(torch.zeros(band.channels, band.channels))
        self.affine = Linear(w_dim, 4)
        self.register_buffer("freqs", torch.zeros(band.channels, 2))
        self.register_buffer("phases", torch.zeros(band.channels))
        self.register_buffer("transform", torch.eye(3))

    def forward(self, latents: Tensor) -> Tensor:
        """Return the map."""
        rotation, shift = self._placement(latents)
        frequencies = self.freqs @ rotation  # [n, channels, 2]
        phases = self.phases + (self.freqs @ shift[:, :, None]).squeeze(2)
        band = self._band
        nyquist = band.rate / 2
        excess = (frequencies.norm(dim=2) - band.cutoff) / (nyquist - band.cutoff)
        amplitudes = (1 - excess).clamp(0, 1)
        # Sample centres, in image sides from the centre of the image.
        at = (torch.arange(band.side, device=latents.device) + 0.5 - band.side / 2).to(latents) / band.rate
        across = frequencies[:, :, 0, None, None] * at[None, None, None, :]
        down = frequencies[:, :, 1, None, None] * at[None, None, :, None]
        waves = torch.sin(2 * math.pi * (across + down + phases[:, :, None, None]))
        waves = waves * amplitudes[:, :, None, None]
        mixed: Tensor = torch.einsum("oc,nchw->nohw", self.weight / math.sqrt(band.channels), waves)
        return mixed

    def _placement(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return matrices [n, 2, 2] and vectors [n, 2] that map a place of the image to one of the waves.

        The latents give cosine and sine of a rotation, and a translation; the image is translated, then
        rotated, after the transform that the checkpoint holds.
        """
        values = self.affine(latents)
        cosine, sine, x, y = (values / values[:, :2].norm(dim=1, keepdim=True)).unbind(dim=1)
        rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
        shift = -(rotation @ torch.stack([x, y], 1)[:, :, None]).squeeze(2)
        own, moved = self.transform[:2, :2], self.transform[:2, 2]
        return rotation @ own, shift + rotation @ moved


def modulated_convolution(
    maps: Tensor, weight: Tensor, styles: Tensor, *, gain: Tensor, demodulated: bool
) -> Tensor:
    """Return the convolution of every sample with weights of its own (Karras et al. 2020, section 2.2).

    The weights of a sample are w_oikl * s_i, for demodulation divided by the root of their sum of squares for
    each output o, and times the input's gain. Instead of the weights, the maps are scaled before and after
    the convolution, which gives the same and needs no weights per sample.

    Args:
        maps: [n, i, h, w], padded by the kernel's side less 1.
        weight: [o, i, k, k].
        styles: [n, i].
        gain: scalar, of the maps.
        demodulated: whether the outputs are scaled to unit weights.
    """
    if demodulated:
        # Their sizes cancel below; at unit size the epsilon is negligible.
        weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
        styles = styles * (styles.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()
    made = conv2d(maps * (styles * gain)[:, :, None, None], weight, padding=weight.shape[2] - 1)
    if demodulated:
        power = styles.square() @ weight.square().sum(dim=(2, 3)).T
        made = made * (power + EPSILON).rsqrt()[:, :, None, None]
    return made


class SynthesisLayer(nn.Module):
    """One layer: maps and latents [n, w_dim] to the next maps."""

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, w_dim: int, layer: Layer) -> None:
        super().__init__()
        self._layer = layer
        before, after = layer.before, layer.after
        self.weight = nn.Parameter(torch.zeros(after.channels, before.channels, layer.kernel, layer.kernel))
        self.bias = nn.Parameter(torch.zeros(after.channels))
        self.affine = Linear(w_dim, before.channels)
        self.register_buffer("magnitude_ema", torch.ones(()))
        up, down = layer.taps
        design = radial_low_pass if layer.radial else low_pass
        own = {
            "up_filter": low_pass(up, before.cutoff, before.half_width, layer.rate) if up > 1 else None,
            "down_filter": design(down, after.cutoff, after.half_width, layer.rate) if down > 1 else None,
        }
        for name, kernel in own.items():
            self.register_buffer(name, kernel)

    def forward(self, maps: Tensor, latents: Tensor) -> Tensor:
        """Return the maps after the layer."""
        layer, styles = self._layer, self.affine(latents)
        if layer.to_rgb:
            styles = styles / math.sqrt(layer.before.channels * layer.kernel**2)
        maps = modulated_convolution(
            maps,
            self.weight,
            styles,
            gain=self.magnitude_ema.rsqrt(),
            demodulated=not layer.to_rgb,
        )
        maps = maps + self.bias[:, None, None]
        if layer.to_rgb:
            return maps.clamp(-LARGEST, LARGEST)
        return filtered_leaky_relu(
            maps,
            self.up_filter,
            self.down_filter,
            up=layer.up,
            down=layer.down,
            padding=layer.padding,
            clamp=LARGEST,
        )
