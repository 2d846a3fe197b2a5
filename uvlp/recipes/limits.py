"""What the settings of the stages may be, so that a wrong one stops a run before it begins.

A plug-in says in its own file what its settings may be: a protocol in ``RANGES``, a method in ``LIMITS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, Recipe

Range = tuple[float, float | None]
# A run of more would take years, and a plan of it all memory.
MOST_EPOCHS, MOST_VALIDATIONS = 10**6, 10**4
WIDEST, MOST_LAYERS = 2**14, 2**10
Choices = tuple[str, ...]
ARITHMETIC: Choices = ("tf32", "float32", "bfloat16")
"""What a protocol may compute in (`models/device.py`)."""


def check_ranges(settings: Any, section: str, limits: Mapping[str, Range | Choices]) -> None:
    """Compare numbers with (least, most), most None where there is no upper end, and names with those known.

    Args:
        settings: a dataclass.
        section: what its fields stand under for the user, e.g. ``"evaluate"``; empty: under nothing.
        limits: by field; of a field with several values each is compared, and there must be one.

    Raises:
        UvlpError: a field is out of its range, is not a number (NaN), or is no known name.
    """
    for name, limit in limits.items():
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        if values and all(_fits(each, limit) for each in values):
            continue
        setting = f"setting {section}.{name}".replace(" .", " ")
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        if isinstance(limit[0], str):
            allowed = ", ".join(repr(each) if not each else str(each) for each in limit)
            raise UvlpError(setting, got=shown, allowed=allowed)
        allowed = f"{limit[0]} or more" if limit[1] is None else f"{limit[0]} to {limit[1]}"
        raise UvlpError(f"{setting} out of range", got=shown, allowed=allowed)


def _fits(value: Any, limit: Range | Choices) -> bool:
    if isinstance(limit[0], str):
        return value in limit
    least, most = limit
    return bool(least <= value and (most is None or value <= most))


Limits = Mapping[str, Range | Choices]

PRECISIONS = ("auto", "float32", "float16", "bfloat16")
SIDE: Range = (8, 4096)
CELL_PX = 8  # pixels along a side of a latent of Stable Diffusion

RECIPE: Limits = {"image_px": SIDE}
SYNTHESIS: Limits = {
    "strength": (0, 1),
    "guidance": (0, 1000),
    "steps": (1, 1000),
    "scheduler": ("pndm", "ddim", "dpm++", "euler"),
    "noise": ("derived", "published"),
    "batch": (0, None),
    "size_px": (0, 4096),
}
FINETUNE: Limits = {
    "resolution_px": SIDE,
    "batch": (1, None),
    "accumulation": (1, None),
    "epochs": (1, MOST_EPOCHS),
    "lr": (0, None),
    "lr_warmup_steps": (0, None),
    "adam_beta1": (0, 0.999999),
    "adam_beta2": (0, 0.999999),
    "adam_epsilon": (0, None),
    "adam_weight_decay": (0, None),
    "max_grad_norm": (0, None),
    "ema_decay": (0, 1),
    "checkpointing_steps": (1, None),
    "checkpoints_total_limit": (1, None),
    "validation_epochs": (1, None),
    "report_to": ("tensorboard", "wandb", "none"),
}
_TRAINING: Limits = {"steps": (1, None), "batch": (1, None), "lr": (0, None), "precision": PRECISIONS}
_WIDTH: Range = (1, WIDEST)
_LAYERS: Range = (1, MOST_LAYERS)
MOST_TRAININGS = 10**4
"""Of one table: each is planned, verified and named in it."""
SECTIONS: Mapping[str, Limits] = {
    "caption": {
        "missing": ("stop", "empty"),
        "batch": (1, None),
        "max_new_tokens": (1, 4096),
        "sampling": ("greedy", "published"),
        "quantise": ("", "4bit"),
        "shard": (1, None),
    },
    "models": {"precision": PRECISIONS},
    "finetune": FINETUNE,
    "embedder": {
        **_TRAINING,
        "width": _WIDTH,
        "layers": _LAYERS,
        "text_width": _WIDTH,
        "text_layers": _LAYERS,
        "text_heads": _LAYERS,
        "context_length": (3, 65536),
    },
    "autoencoder": {**_TRAINING, "channels": _WIDTH, "layers": _LAYERS, "kl_weight": (0, None)},
    "diffuser": {
        **_TRAINING,
        "channels": _WIDTH,
        "layers": _LAYERS,
        "attention_levels": (0, 64),
        "ema": (0, 1),
        "caption_drop": (0, 1),
    },
    "teacher": {
        "epochs": (1, MOST_EPOCHS),
        "batch": (2, None),
        "lr": (0, None),
        "momentum": (0, 1),
        "weight_decay": (0, None),
        "crop_scale": (0.01, 1),
        "published_pct": (0, 100),
        "tolerance_pct": (0, 100),
    },
    "embed": {"batch": (1, 65536), "shard": (1, 65536), "clip_precision": ("float32", "tf32")},
}


def check(recipe: Recipe) -> None:
    """Refuse settings that no stage could use.

    Raises:
        UvlpError: a number out of range or an unknown name, with the setting's name.
    """
    check_trainings(recipe, len(recipe.methods))
    check_ranges(recipe, "", RECIPE)
    for section, limits in SECTIONS.items():
        check_ranges(getattr(recipe, section), section, limits)
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
            do="ask for fewer, in several tables; what two of them share is made once",
        )


def check_llava(settings: CaptionSettings, *, gpu: bool) -> None:
    """Refuse settings of LLaVA that no run could use, or none without a GPU.

    Raises:
        UvlpError: a number out of range, an unknown name, or 4 bits without a GPU or the package for them.
    """
    check_ranges(settings, "caption", SECTIONS["caption"])
    if not settings.quantise:
        return
    what, leave_out = "loading LLaVA in 4 bits needs", "leave --set caption.quantise=4bit out"
    if not gpu:
        raise UvlpError(f"{what} a GPU", got="cpu", do=leave_out)
    if find_spec("bitsandbytes") is None:
        do = f"install it with `pip install bitsandbytes`, or {leave_out}"
        raise UvlpError(f"{what} the package bitsandbytes", got="missing", do=do)


def check_finetuning(settings: FinetuneSettings) -> None:
    """Refuse settings of the fine-tuning that no run could use.

    Raises:
        UvlpError: a number out of range, an unknown or missing tracker, or a cache of random crops.
    """
    check_ranges(settings, "finetune", FINETUNE)
    if settings.report_to != "none" and find_spec(settings.report_to) is None:
        raise UvlpError(
            f"setting finetune.report_to: {settings.report_to} is not installed",
            do=f"pip install {settings.report_to}, or --set finetune.report_to=none",
        )
    if settings.cache_latents and not settings.center_crop:
        raise UvlpError(
            "setting finetune.cache_latents with random crops, which are other pixels every time",
            do="--set finetune.cache_latents=false or --set finetune.center_crop=true",
        )
