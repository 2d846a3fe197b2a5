"""What settings may be together, so that a wrong one stops a run before it begins.

What one may be alone stands beside it (`recipes/setting.py`).
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib.util import find_spec

from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, Recipe
from uvlp.recipes.setting import check_limits

CELL_PX = 8  # pixels along a side of a latent of Stable Diffusion

MOST_TRAININGS = 10**4
"""Of one table: each is planned, verified and named in it."""


def check(recipe: Recipe) -> None:
    """Refuse settings that no stage could use.

    Raises:
        UvlpError: a number out of range or an unknown name, with the setting's name.
    """
    check_trainings(recipe, len(recipe.methods))
    check_limits(recipe, "")
    for section in fields(recipe):
        if is_dataclass(value := getattr(recipe, section.name)):
            check_limits(value, section.name)
    sides = {"image_px": recipe.image_px, "finetune.resolution_px": recipe.finetune.resolution_px}
    for name, side in sides.items():
        if recipe.pretrained and side % CELL_PX:
            allowed = f"a multiple of {CELL_PX}, the pixels of a latent of Stable Diffusion"
            raise UvlpError(f"setting {name}", got=side, allowed=allowed)
    _check_widths(recipe)
    if not recipe.pretrained:
        _check_small_models(recipe)


AUTOENCODER_GROUPS, DIFFUSER_GROUPS = 8, 16
"""Channels that are normalised together, as `models/autoencoder.py` and `models/diffuser.py` build them."""


def _check_widths(recipe: Recipe) -> None:
    """Refuse widths that no network can be built of: parts of equal size must fit into them."""
    embedder, levels = recipe.embedder, recipe.diffuser.attention_levels
    multiples = {
        "autoencoder.channels": (recipe.autoencoder.channels, AUTOENCODER_GROUPS),
        "diffuser.channels": (recipe.diffuser.channels, DIFFUSER_GROUPS),
        "embedder.width": ((embedder.width,), 2),  # open_clip gives its image tower width / 2 heads
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
"""Levels of open_clip's ModifiedResNet, and how many pixels become one of its last map."""


def _check_small_models(recipe: Recipe) -> None:
    """Refuse images that the small models cannot halve as often as they do."""
    layers, side = recipe.embedder.layers, recipe.image_px
    if len(layers) != TOWER_LEVELS:
        shown = ",".join(map(str, layers))
        raise UvlpError("setting embedder.layers", got=shown, allowed=f"{TOWER_LEVELS} numbers, one a level")
    cell = 2 ** (len(recipe.autoencoder.channels) - 1)
    if side % cell:
        allowed = f"a multiple of {cell}, as often as autoencoder.channels halves it"
        raise UvlpError("setting image_px", got=side, allowed=allowed)
    # Its first convolution rounds up where its positions are counted rounding down.
    if side < TOWER_PX or (side + 1) % TOWER_PX == 0:
        allowed = f"{TOWER_PX} or more, and not one less than a multiple of it: the embedder's image tower"
        raise UvlpError("setting image_px", got=side, allowed=allowed)


def check_trainings(recipe: Recipe, methods: int) -> None:
    """Refuse a table of ``methods`` rows that nobody could train, before it is planned.

    Raises:
        UvlpError: the recipe's seeds, repeats and networks ask for too many trainings.
    """
    count = max(methods, 1) * len(recipe.networks) * len(recipe.seeds) * recipe.repeats
    if count > MOST_TRAININGS:
        raise UvlpError(
            "trainings of one table (methods x networks x seeds x repeats)",
            got=count,
            allowed=f"at most {MOST_TRAININGS}",
            fix="ask for fewer, in several tables; what two of them share is made once",
        )


def check_llava(settings: CaptionSettings, *, gpu: bool) -> None:
    """Refuse settings of LLaVA that no run could use, or none without a GPU.

    Raises:
        UvlpError: a number out of range, an unknown name, or 4 bits without a GPU or the package for them.
    """
    check_limits(settings, "caption")
    if not settings.quantise:
        return
    what, leave_out = "loading LLaVA in 4 bits needs", "leave --set caption.quantise=4bit out"
    if not gpu:
        raise UvlpError(f"{what} a GPU", got="cpu", fix=leave_out)
    if find_spec("bitsandbytes") is None:
        fix = f"install it with `pip install bitsandbytes`, or {leave_out}"
        raise UvlpError(f"{what} the package bitsandbytes", got="missing", fix=fix)


def check_finetuning(settings: FinetuneSettings) -> None:
    """Refuse settings of the fine-tuning that no run could use.

    Raises:
        UvlpError: a number out of range, an unknown or missing tracker, or a cache of random crops.
    """
    check_limits(settings, "finetune")
    if settings.report_to != "none" and find_spec(settings.report_to) is None:
        raise UvlpError(
            f"setting finetune.report_to: {settings.report_to} is not installed",
            fix=f"pip install {settings.report_to}, or --set finetune.report_to=none",
        )
    if settings.cache_latents and not settings.center_crop:
        raise UvlpError(
            "setting finetune.cache_latents with random crops, which are other pixels every time",
            fix="--set finetune.cache_latents=false or --set finetune.center_crop=true",
        )
