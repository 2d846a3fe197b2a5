"""Settings and cost of the methods that sample from a DiT, `dit` and `minimax` (evaluation.md 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uvlp.recipes.setting import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the sampler."""

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
