"""Counted operations and bytes of models and networks: `costs.json`, by `tests/benchmarks/count_costs.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.artifacts.manifest import plain
from uvlp.recipes.schema import Recipe

COSTS: Mapping[str, Any] = json.loads((Path(__file__).parent / "costs.json").read_text(encoding="utf-8"))
PUBLISHED: Mapping[str, Any] = COSTS["published"]


TRAINING = {"steps", "batch", "lr", "kl_weight", "ema", "caption_drop", "precision"}
"""Settings of the small models that decide about no shape."""


def shapes(recipe: Recipe) -> dict[str, Any]:
    """What decides about the shapes of the models that a recipe trains from scratch."""
    parts = {part: plain(getattr(recipe, part)) for part in ("embedder", "autoencoder", "diffuser")}
    own = {
        part: {name: value for name, value in settings.items() if name not in TRAINING}
        for part, settings in parts.items()
    }
    return {"image_px": recipe.image_px, **own}


def small_models(recipe: Recipe) -> Mapping[str, Any] | None:
    """The counts of the models that the recipe trains from scratch; None for shapes that were not counted."""
    wanted = shapes(recipe)
    return next((found for found in COSTS["small"] if found["shapes"] == wanted), None)


def network(name: str, size_px: int, width: int = 0) -> Mapping[str, int] | None:
    """The counts of a test network; None for one that was not counted at this size."""
    key = f"{name} {size_px}" + (f" w{width}" if width else "")
    found: Mapping[str, int] | None = COSTS["networks"].get(key)
    return found


def unet_flops(latent_px: int) -> float:
    """One sample through the published UNet; sides that were not counted by their area."""
    return _by_side(PUBLISHED["unet_by_side"], latent_px)


def encode_flops(image_px: int) -> float:
    """One image through the published VAE encoder."""
    return _by_side(PUBLISHED["encode_by_side"], image_px // 8)


def _by_side(counted: Mapping[str, int], side: int) -> float:
    if str(side) in counted:
        return counted[str(side)]
    return counted["64"] * (side / 64) ** 2
