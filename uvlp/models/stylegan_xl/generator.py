"""A class-conditional StyleGAN-XL generator, and loading it from safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from uvlp.core.errors import UvlpError
from uvlp.models.published.checks.stylegan_checks import WEIGHTS, architecture
from uvlp.models.quiet import LOADING_ERRORS
from uvlp.models.stylegan_xl.architecture import Architecture, layers
from uvlp.models.stylegan_xl.mapping import Mapping
from uvlp.models.stylegan_xl.synthesis import FourierFeatures, SynthesisLayer

OUTPUT_SCALE = 0.25
FILTER_TOLERANCE = 1e-5
"""Between the filters of a file and those of its configuration; other bands differ by far more."""
UNUSED = "mapping.w_avg"
"""The mean latents of every class, for truncation."""


class Synthesis(nn.Module):
    """The input and the layers, by the names of a checkpoint."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        every = layers(sizes)
        self.input = FourierFeatures(sizes.w_dim, every[0].before)
        self.layers: list[SynthesisLayer] = []
        for layer in every:
            made = SynthesisLayer(sizes.w_dim, layer)
            self.add_module(layer.name, made)
            self.layers.append(made)


class Generator(nn.Module):
    """Latents to images; one latent for the Fourier features, and one for every layer (w+).

    Args:
        sizes: of its layers; weights are 0.

    Attributes:
        mapping: random vectors [n, z_dim] and classes [n] to latents [n, w_dim].
        sizes: as given.
    """

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.sizes = sizes
        self.mapping = Mapping(sizes)
        self.synthesis = Synthesis(sizes)

    @property
    def latents(self) -> int:
        """Number of latents of an image."""
        return 1 + len(self.synthesis.layers)

    def features(self, latents: Tensor, count: int) -> Tensor:
        """Return the maps after ``count`` layers; 0: the Fourier features. Latents [n, `latents`, w_dim]."""
        maps: Tensor = self.synthesis.input(latents[:, 0])
        return self._through(self.synthesis.layers[:count], maps, latents[:, 1:])

    def images(self, maps: Tensor, latents: Tensor, count: int) -> Tensor:
        """Return the images [n, 3, side, side], about [-1, 1], of the maps after ``count`` layers."""
        rest = latents[:, 1 + count :]
        return OUTPUT_SCALE * self._through(self.synthesis.layers[count:], maps, rest)

    @staticmethod
    def _through(used: Sequence[SynthesisLayer], maps: Tensor, latents: Tensor) -> Tensor:
        for index, layer in enumerate(used):
            maps = layer(maps, latents[:, index])
        return maps


def load(folder: Path) -> Generator:
    """Load a generator, float32 on the CPU, without gradients of its weights.

    Args:
        folder: with `config.json` and `generator.safetensors` (docs/stylegan_xl.md), checked by
            `models/published/find.py`.

    Raises:
        UvlpError: damaged files, or filters of other bands than those of the configuration.
    """
    sizes = architecture(folder)
    generator, path = Generator(sizes), folder / f"{WEIGHTS}.safetensors"
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items() if name != UNUSED}
        _check_filters(generator, state, path)
        generator.load_state_dict(state)
    except LOADING_ERRORS as error:
        allowed = "the generator of its config.json in safetensors"
        raise UvlpError(
            f"cannot load StyleGAN-XL from {path}", got=str(error)[:300], allowed=allowed
        ) from error
    return generator.requires_grad_(False).eval()


def _check_filters(generator: Generator, state: dict[str, Tensor], path: Path) -> None:
    """Compare the filters, which follow from the layers alone, as a proof of the layers' bands."""
    for name, kernel in generator.named_buffers():
        if name.endswith(("up_filter", "down_filter")):
            difference = float((state[name] - kernel).abs().max())
            if not difference <= FILTER_TOLERANCE:
                raise UvlpError(
                    f"StyleGAN-XL: {name} is another filter than that of config.json",
                    got=f"{path}, off by {difference:.2g}",
                    allowed=f"at most {FILTER_TOLERANCE:g}",
                    fix="correct stem_px, stem_layers and stages of config.json",
                )
