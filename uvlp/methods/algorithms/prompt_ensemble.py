"""Class-name prototypes from eighteen prompt templates (methods.md A.3)."""

from __future__ import annotations

from uvlp.methods.algorithms.fusion import Features, unit

_VARIANTS = (
    "a photo of {} {}.",
    "a blurry photo of {} {}.",
    "a black and white photo of {} {}.",
    "a low contrast photo of {} {}.",
    "a high contrast photo of {} {}.",
    "a bad photo of {} {}.",
    "a good photo of {} {}.",
    "a photo of {} small {}.",
    "a photo of {} big {}.",
)


def prompts(name: str) -> list[str]:
    """The eighteen texts for a class name."""
    return [variant.format(article, name) for article in ("a", "the") for variant in _VARIANTS]


def class_prototype(features: Features) -> Features:
    """τ, float32 [D], from the projected, unnormalised text features [18, D] of the prompts."""
    return unit(unit(features).mean(axis=0))
