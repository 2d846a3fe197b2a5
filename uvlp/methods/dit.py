"""DiT: images of a class-conditional diffusion transformer, without any distillation (evaluation.md 5.1).

Peebles & Xie, Scalable Diffusion Models with Transformers, ICCV 2023; sampled as by Gu et al., Efficient
Dataset Distillation via Minimax Diffusion, CVPR 2024. The published model knows the ImageNet classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.setting import setting

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.guided_sampling import Batch
    from uvlp.methods.algorithms.method_input import MethodInput

REVISION = 2
TITLE = "DiT"
MODELS = ("transformer",)
PROFILES = {"nano": {"steps": 2}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `dit`."""

    steps: int = setting(
        50, "steps of ancestral sampling, evenly spaced", "evaluation.md 5.1", least=2, most=1000
    )
    guidance: float = setting(
        4.0,
        "scale of classifier-free guidance, of the first three of four noise channels",
        "evaluation.md 5.1",
        least=0,
        most=1000,
    )
    batch: int = setting(
        50, "images per batch; fixed, because it changes the last bits", "D-86", least=1, most=65536
    )


def passes(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """Every step has a pass with the label and one without; then an image is decoded."""
    made = classes * ipc
    return {"transformer": 2 * settings.steps * made, "vae_decode": made}


def sample(inputs: MethodInput, settings: Settings, progress: Progress, done: int) -> Iterator[Batch]:
    """The images, class after class."""
    from uvlp.methods.algorithms.guided_sampling import sampled

    return sampled(inputs, settings, progress, done, "transformer", "dit")
