"""Names of tables, which contain everything that differs from the dataset's default."""

from __future__ import annotations

import re

from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.core.files.unicode_form import nfc
from uvlp.declarations.dataset import declared_dataset
from uvlp.pipeline.planning.ablations import Ablated
from uvlp.recipes.schema import Recipe

LONGEST = 40
HASH_DIGITS = 8


def table_name(
    recipe: Recipe,
    manifest: DatasetManifest,
    spec: DatasetSpec,
    folders: str = "",
    ablated: Ablated | None = None,
) -> str:
    """Return a name: ``digits-ipc10``, ``digits-ipc10-rded-nano``, ``mine-on-folder-cats-1a2b3c-ipc10``.

    Args:
        recipe: fully resolved.
        manifest: manifest of its dataset.
        spec: how the dataset was opened.
        folders: titles of the folders of `uvlp evaluate`; empty for the other commands.
        ablated: the method of `uvlp ablate`: ``digits-ipc10-uvlp-ablations``.
    """
    usual = declared_dataset(recipe.dataset.partition(":")[0]).recipe(recipe.ipc)
    parts = [
        *[f"{folders}-on"] * bool(folders),
        dataset_name(manifest, spec),
        f"ipc{recipe.ipc}",
        *[recipe.protocol] * (recipe.protocol != usual.protocol),
        *[recipe.profile] * (recipe.profile != usual.profile),
        *["portable"] * recipe.portable,
        *([] if ablated is None else _ablations(ablated)),
    ]
    return "-".join(parts)


def _ablations(ablated: Ablated) -> list[str]:
    method = re.sub(r"[^\w.]+", "-", ablated.method)
    return [method, "ablations", *["pairs"] * ablated.pairs]


def dataset_name(manifest: DatasetManifest, spec: DatasetSpec) -> str:
    """Return the dataset with its variant; that of a folder or an address by name and content hash."""
    if spec.argument:
        given = re.split("[@,]", spec.argument)[0] if spec.path is None else spec.path.resolve().name
        own = re.sub(r"[^\w.]+", "-", nfc(given)).strip("-")[:LONGEST]
        return "-".join(filter(None, [manifest.name, own, manifest.content_hash[:HASH_DIGITS]]))
    variants = declared_dataset(spec.name).variants or ()
    other = manifest.variant and manifest.variant not in variants[:1]
    return f"{manifest.name}-{manifest.variant}" if other else manifest.name
