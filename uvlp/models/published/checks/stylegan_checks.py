"""Check the architecture of a StyleGAN-XL generator; see `model_checks.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.core.files.safetensors_file import Shapes
from uvlp.models.published.checks.model_fields import Fields, compare, read_config
from uvlp.models.published.layout import LAYOUTS
from uvlp.models.stylegan_xl.architecture import CLASSES, CRITICAL, Architecture, layers, tensors

PART, WEIGHTS = "stylegan_xl", "generator"
TYPE = "stylegan-xl"
MOST_LAYERS, LARGEST_PX, MOST_STAGES = 64, 4096, 8
FACTORS, KERNELS = (2, 4, 8, 16), (1, 3)
STAGES = f"up to {MOST_STAGES} pairs of a factor ({', '.join(map(str, FACTORS))}) and a number of layers"


def check_class(folder: Path) -> None:
    """Refuse another model, by the configuration if there is one.

    Raises:
        UvlpError: the field with another value.
    """
    if (folder / "config.json").is_file():
        architecture(folder)


def check(folder: Path, shapes: Mapping[str, Shapes]) -> None:
    """Refuse weights that do not match their configuration.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    compare(_fields(folder), shapes[WEIGHTS], tensors(architecture(folder)))


def architecture(folder: Path) -> Architecture:
    """Return the sizes of the generator in ``folder``.

    Raises:
        UvlpError: the configuration is of another model, or a field has an invalid value.
    """
    fields, usual = _fields(folder), Architecture()
    if fields.config.get("generator") != TYPE:
        raise fields.refuse("generator", fields.config.get("generator"), TYPE)
    classes = fields.integer("classes", CLASSES)
    if classes != CLASSES:
        raise fields.refuse("classes", classes, f"{CLASSES}, the classes of ImageNet")
    kernel = fields.integer("conv_kernel", usual.conv_kernel)
    if kernel not in KERNELS:
        raise fields.refuse("conv_kernel", kernel, "1 or 3")
    radial = fields.config.get("radial", usual.radial)
    if not isinstance(radial, bool):
        raise fields.refuse("radial", radial, "true or false")
    stem_layers = fields.integer("stem_layers", usual.stem_layers, MOST_LAYERS)
    if stem_layers <= CRITICAL:
        raise fields.refuse("stem_layers", stem_layers, f"{CRITICAL + 1} to {MOST_LAYERS}")
    stem_px = fields.integer("stem_px", usual.stem_px, LARGEST_PX)
    if stem_px < 8 or stem_px & (stem_px - 1):
        raise fields.refuse("stem_px", stem_px, f"a power of 2 from 8 to {LARGEST_PX}")
    made = Architecture(
        z_dim=fields.integer("z_dim", usual.z_dim),
        w_dim=fields.integer("w_dim", usual.w_dim),
        embed_dim=fields.integer("embed_dim", usual.embed_dim),
        mapping_layers=fields.integer("mapping_layers", usual.mapping_layers, MOST_LAYERS),
        stem_px=stem_px,
        stem_layers=stem_layers,
        stages=_stages(fields, usual),
        channel_base=fields.integer("channel_base", usual.channel_base),
        channel_max=fields.integer("channel_max", usual.channel_max),
        conv_kernel=kernel,
        radial=radial,
    )
    if made.side_px > LARGEST_PX:
        raise fields.refuse("stages", f"images of {made.side_px} px", f"at most {LARGEST_PX} px")
    return made


def feature_bytes(count: int) -> int:
    """Return the bytes of the published generator's feature map, in float32, after ``count`` layers."""
    every = layers(Architecture())
    band = every[min(count, len(every)) - 1].after if count else every[0].before
    return 4 * band.channels * band.side**2


def _stages(fields: Fields, usual: Architecture) -> tuple[tuple[int, int], ...]:
    value: Any = fields.config.get("stages", usual.stages)
    if not isinstance(value, list | tuple) or len(value) > MOST_STAGES:
        raise fields.refuse("stages", value, STAGES)
    for stage in value:
        pair = isinstance(stage, list | tuple) and [type(each) for each in stage] == [int, int]
        if not pair or stage[0] not in FACTORS or not CRITICAL < stage[1] <= MOST_LAYERS:
            raise fields.refuse("stages", value, STAGES)
    return tuple((factor, count) for factor, count in value)


def _fields(folder: Path) -> Fields:
    path = folder / "config.json"
    return Fields(title=LAYOUTS[PART].title, path=path, config=read_config(path))
