"""Names of tables: what is not a dataset's default stands in them, so that few tables share a name."""

from __future__ import annotations

import re

from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.core.files.paths import expand_home
from uvlp.core.files.unicode_form import nfc
from uvlp.declarations.dataset import declared_dataset
from uvlp.recipes.schema import Recipe

LONGEST = 40
HASH_DIGITS = 8


def table_name(recipe: Recipe, manifest: DatasetManifest, spec: DatasetSpec, folders: str = "") -> str:
    """For example ``digits-ipc10``, ``digits-ipc10-rded-nano``, ``mine-on-folder-cats-1a2b3c4d-ipc10``.

    Args:
        recipe: fully resolved.
        manifest: of its dataset.
        spec: how it was opened.
        folders: titles of the folders of `uvlp evaluate`; empty for a reproduction.
    """
    usual = declared_dataset(recipe.dataset.partition(":")[0]).recipe(recipe.ipc)
    parts = [
        *[f"{folders}-on"] * bool(folders),
        dataset_name(manifest, spec),
        f"ipc{recipe.ipc}",
        *[recipe.protocol] * (recipe.protocol != usual.protocol),
        *[recipe.profile] * (recipe.profile != usual.profile),
        *["portable"] * recipe.portable,
    ]
    return "-".join(parts)


def dataset_name(manifest: DatasetManifest, spec: DatasetSpec) -> str:
    """The dataset with its variant; a folder of somebody by its own name and the hash of what it holds."""
    if spec.argument:
        own = re.sub(r"[^\w.]+", "-", nfc(expand_home(spec.argument).resolve().name)).strip("-")[:LONGEST]
        return "-".join(filter(None, [manifest.name, own, manifest.content_hash[:HASH_DIGITS]]))
    variants = declared_dataset(spec.name).variants or ()
    other = manifest.variant and manifest.variant not in variants[:1]
    return f"{manifest.name}-{manifest.variant}" if other else manifest.name
