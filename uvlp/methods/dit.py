"""DiT: images of a class-conditional diffusion transformer, without any distillation (evaluation.md 5.1).

Peebles & Xie, Scalable Diffusion Models with Transformers, ICCV 2023; sampled as by Gu et al., Efficient
Dataset Distillation via Minimax Diffusion, CVPR 2024. The published model knows the ImageNet classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from uvlp.methods.algorithms.dit_settings import Settings, passes

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.guided_sampling import Batch
    from uvlp.methods.algorithms.method_input import MethodInput

__all__ = ["Settings", "passes", "sample"]
REVISION = 2
TITLE = "DiT"
MODELS = ("transformer",)
PROFILES = {"nano": {"steps": 2}}


def sample(inputs: MethodInput, settings: Settings, progress: Progress, done: int) -> Iterator[Batch]:
    """The images, class after class."""
    from uvlp.methods.algorithms.guided_sampling import sampled

    return sampled(inputs, settings, progress, done, "transformer", "dit")
