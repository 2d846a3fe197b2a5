"""GLaD: distribution matching in the latents and features of a generative prior (evaluation.md 5).

Cazenavette et al., Generalizing Dataset Distillation via Deep Generative Prior, CVPR 2023, with the loss of
DM. The published prior is a StyleGAN-XL, for which the user has the weights; the default is the decoder of
the profile's VAE (D-76).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError
from uvlp.recipes.setting import WIDEST, setting

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput
    from uvlp.methods.algorithms.optimising.latent_matching import LatentMatching
    from uvlp.methods.algorithms.optimising.prior import Prior

REVISION = 1
TITLE = "GLaD"
STYLEGAN_XL = "stylegan-xl"
PROFILES = {
    "small": {"side_px": 0},
    "tiny": {"iterations": 200, "real_batch": 64, "width": 32, "side_px": 0, "lr_latents": 10.0},
    "nano": {"iterations": 2, "real_batch": 8, "width": 8, "side_px": 0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `glad`."""

    iterations: int = setting(1000, "updates, each with a new random network", "evaluation.md 5", least=1)
    real_batch: int = setting(
        256, "real images per class and iteration, at most all of the class", "evaluation.md 5", least=1
    )
    lr_latents: float = setting(0.01, "learning rate of SGD on the latents", "evaluation.md 5", least=0)
    lr_features: float = setting(
        10.0, "learning rate of SGD on the feature maps, or their offsets", "evaluation.md 5", least=0
    )
    momentum: float = setting(0.5, "momentum of SGD", "evaluation.md 5", least=0, most=1)
    prior: str = setting(
        "vae",
        "the generator: the decoder of the VAE, or the StyleGAN-XL of models.stylegan_xl",
        "D-76",
        choices=("vae", STYLEGAN_XL),
    )
    block: int = setting(
        1,
        "VAE: the feature map after this up block of the decoder; 0: after the middle block",
        "D-76",
        least=0,
    )
    layer: int = setting(
        20,
        "StyleGAN-XL: the feature map after this many layers; 0: the Fourier features",
        "GLaD repository, distribution matching",
        least=0,
    )
    side_px: int = setting(
        256,
        "side of the decoded images, resized for the networks; 0: that on which the prior was trained",
        "evaluation.md 5",
        least=0,
        most=4096,
    )
    network: str = setting(
        "", "random network, with depth; empty: a ConvNet of the usual depth at the image size", "D-66"
    )
    width: int = setting(
        0, "channels of ConvNet, or of the first stage of a ResNet; 0: 128 or 64", least=0, most=WIDEST
    )


def network(settings: Settings, size_px: int) -> str:
    """The random network, as for DM."""
    from uvlp.methods.algorithms.optimising.usual_network import usual_network

    return settings.network or usual_network(size_px)


def passes(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """As for DM; every image is decoded once without and once with a backward pass."""
    real = min(settings.real_batch, images / classes)
    prior = "stylegan_xl" if settings.prior == STYLEGAN_XL else "vae_decode"
    return {
        network(settings, size_px): settings.iterations * classes * (real + 3 * ipc),
        prior: settings.iterations * classes * 4 * ipc,
    }


def models(settings: Settings) -> tuple[str, ...]:
    """The model that is the prior."""
    return ("stylegan_xl",) if settings.prior == STYLEGAN_XL else ("autoencoder",)


def check_models(settings: Settings, folders: Mapping[str, Path]) -> None:
    """Refuse a StyleGAN-XL of another size, or without that layer."""
    if settings.prior != STYLEGAN_XL:
        return
    from uvlp.models.published.checks.stylegan_checks import architecture
    from uvlp.models.stylegan_xl.architecture import layers

    sizes = architecture(folders["stylegan_xl"])
    if settings.side_px not in (0, sizes.side_px):
        what = "glad.side_px: this StyleGAN-XL makes images of another side"
        allowed = f"{sizes.side_px}, or 0 for the prior's own"
        raise UvlpError(what, got=settings.side_px, allowed=allowed, fix="--set glad.side_px=0")
    most = len(layers(sizes)) - 1
    if settings.layer > most:
        what = "glad.layer: no such layer of this StyleGAN-XL before its last"
        raise UvlpError(what, got=settings.layer, allowed=f"0 to {most}")


def optimise(inputs: MethodInput, settings: Settings, progress: Progress) -> LatentMatching:
    """The optimisation, which starts at images of `random` (VAE) or at random latents (StyleGAN-XL)."""
    from uvlp.methods.algorithms.optimising.latent_matching import LatentMatching

    prior = _prior(inputs, settings)
    return LatentMatching(inputs, settings, network(settings, inputs.size_px), prior, progress)


def _prior(inputs: MethodInput, settings: Settings) -> Prior:
    (folder,) = inputs.models.values()
    if settings.prior == STYLEGAN_XL:
        from uvlp.methods.algorithms.optimising.stylegan_prior import StyleGanPrior

        return StyleGanPrior(folder, inputs.device, layer=settings.layer, size_px=inputs.size_px)
    from uvlp.methods.algorithms.optimising.decoder_prior import DecoderPrior

    return DecoderPrior(
        folder,
        inputs.device,
        block=settings.block,
        side_px=settings.side_px,
        size_px=inputs.size_px,
    )
