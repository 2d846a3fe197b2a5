"""Checks of combinations of settings, before a run starts.

The limits of a single setting are declared with it (`recipes/setting.py`).
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from importlib.util import find_spec

from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, Recipe
from uvlp.recipes.setting import check_limits

CELL_PX = 8  # downsampling factor of Stable Diffusion's autoencoder

MOST_TRAININGS = 10**4
"""Trainings of one table: each is planned, verified and listed in it."""


def check(recipe: Recipe) -> None:
    """Refuse settings that no stage can use.

    Raises:
        UvlpError: a number out of range or an unknown name; names the setting.
    """
    check_trainings(recipe, len(recipe.methods))
    check_limits(recipe, "")
    for section in fields(recipe):
        if is_dataclass(value := getattr(recipe, section.name)):
            check_limits(value, section.name)
    sides = {"image_px": recipe.image_px, "finetune.resolution_px": recipe.finetune.resolution_px}
    for name, side in sides.items():
        if recipe.pretrained and side % CELL_PX:
            allowed = f"a multiple of {CELL_PX}, the downsampling factor of Stable Diffusion"
            raise UvlpError(f"setting {name}", got=side, allowed=allowed)
    _check_widths(recipe)
    if not recipe.pretrained:
        _check_small_models(recipe)


AUTOENCODER_GROUPS, DIFFUSER_GROUPS = 8, 16
"""Channels per normalisation group in `models/autoencoder.py` and `models/diffuser.py`."""


def _check_widths(recipe: Recipe) -> None:
    """Refuse widths that cannot be divided into equal groups or attention heads."""
    embedder, levels = recipe.embedder, recipe.diffuser.attention_levels
    multiples = {
        "autoencoder.channels": (recipe.autoencoder.channels, AUTOENCODER_GROUPS),
        "diffuser.channels": (recipe.diffuser.channels, DIFFUSER_GROUPS),
        "embedder.width": ((embedder.width,), 2),  # open_clip's image tower has width / 2 heads
        "embedder.text_width": ((embedder.text_width,), embedder.text_heads),
    }
    for name, (widths, part) in multiples.items():
        if any(width % part for width in widths):
            got = ",".join(map(str, widths))
            raise UvlpError(f"setting {name}", got=got, allowed=f"multiples of {part}")
    if levels > len(recipe.diffuser.channels):
        allowed = f"0 to {len(recipe.diffuser.channels)}, the number of diffuser.channels"
        raise UvlpError("setting diffuser.attention_levels", got=levels, allowed=allowed)


TOWER_LEVELS, TOWER_PX = 4, 32
"""Levels of open_clip's ModifiedResNet, and its downsampling factor."""


def _check_small_models(recipe: Recipe) -> None:
    """Refuse image sides that the small models cannot downsample."""
    layers, side = recipe.embedder.layers, recipe.image_px
    if len(layers) != TOWER_LEVELS:
        shown = ",".join(map(str, layers))
        raise UvlpError(
            "setting embedder.layers", got=shown, allowed=f"{TOWER_LEVELS} numbers, one per level"
        )
    cell = 2 ** (len(recipe.autoencoder.channels) - 1)
    if side % cell:
        allowed = f"a multiple of {cell}, the downsampling factor of autoencoder.channels"
        raise UvlpError("setting image_px", got=side, allowed=allowed)
    # Its first convolution rounds up, but the number of its positions is rounded down.
    if side < TOWER_PX or (side + 1) % TOWER_PX == 0:
        allowed = f"{TOWER_PX} or more, and not one less than a multiple of it: the embedder's image tower"
        raise UvlpError("setting image_px", got=side, allowed=allowed)


PATCH, WAVES = 2, 4
"""Side of a patch of the DiT, and the divisor of its width (`models/dit/network.py`)."""


def check_transformer(recipe: Recipe) -> None:
    """Refuse a DiT whose width or latents cannot be divided.

    Raises:
        UvlpError: names the setting.
    """
    own = recipe.transformer
    multiple = math.lcm(own.heads, WAVES)
    if own.width % multiple:
        raise UvlpError("setting transformer.width", got=own.width, allowed=f"multiples of {multiple}")
    cell = PATCH * 2 ** (len(recipe.autoencoder.channels) - 1)
    if recipe.image_px % cell:
        allowed = f"a multiple of {cell} for a DiT: {PATCH} latents of the autoencoder"
        raise UvlpError("setting image_px", got=recipe.image_px, allowed=allowed)


def check_trainings(recipe: Recipe, methods: int) -> None:
    """Refuse a table of ``methods`` rows with too many trainings, before it is planned.

    Raises:
        UvlpError: methods, seeds, repeats and networks give too many trainings.
    """
    count = max(methods, 1) * len(recipe.networks) * len(recipe.seeds) * recipe.repeats
    if count > MOST_TRAININGS:
        raise UvlpError(
            "too many trainings of one table (methods x networks x seeds x repeats)",
            got=count,
            allowed=f"at most {MOST_TRAININGS}",
            fix="divide them into several tables; what they share is computed once",
        )


def check_llava(settings: CaptionSettings, *, gpu: bool) -> None:
    """Refuse invalid settings of LLaVA, and those that need a GPU without one.

    Raises:
        UvlpError: a number out of range, an unknown name, or 4 bits without a GPU or bitsandbytes.
    """
    check_limits(settings, "caption")
    if not settings.quantise:
        return
    what, omit = "loading LLaVA in 4 bits needs", "omit --set caption.quantise=4bit"
    if not gpu:
        raise UvlpError(f"{what} a GPU", got="cpu", fix=omit)
    if find_spec("bitsandbytes") is None:
        fix = f"install it with `pip install bitsandbytes`, or {omit}"
        raise UvlpError(f"{what} the package bitsandbytes", got="missing", fix=fix)


def check_finetuning(settings: FinetuneSettings) -> None:
    """Refuse invalid settings of the fine-tuning.

    Raises:
        UvlpError: a number out of range, or a cache of random crops.
    """
    check_limits(settings, "finetune")
    if settings.cache_latents and not settings.center_crop:
        raise UvlpError(
            "setting finetune.cache_latents with random crops, which differ in every epoch",
            fix="--set finetune.cache_latents=false or --set finetune.center_crop=true",
        )
