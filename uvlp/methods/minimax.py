"""Minimax: images of a DiT that was fine-tuned to be representative and diverse (evaluation.md 5.1).

Gu et al., Efficient Dataset Distillation via Minimax Diffusion, CVPR 2024: DiffFit with two criteria, a small
distance to real latents and a small similarity of predicted ones; sampled as `dit`.
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
TITLE = "Minimax"
MODELS = ("difffit",)
PROFILES = {"nano": {"steps": 2}}


def sample(inputs: MethodInput, settings: Settings, progress: Progress, done: int) -> Iterator[Batch]:
    """The images, class after class, from the noise of `dit`."""
    from uvlp.methods.algorithms.guided_sampling import sampled

    return sampled(inputs, settings, progress, done, "difffit", "minimax")
