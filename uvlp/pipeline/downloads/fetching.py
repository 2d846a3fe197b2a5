"""`uvlp fetch`: download a dataset or published models by name, and list what is present afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.progress import Progress, print_message
from uvlp.models.published import find
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.downloads.transfers import Transfer, dataset_missing, fetch, models_missing
from uvlp.pipeline.names import check_data_options
from uvlp.recipes import overrides
from uvlp.recipes.schema import ModelSettings
from uvlp.recipes.setting import check_limits

MODELS = {"models": ("diffusion", "clip", "llava")} | {part: (part,) for part in find.PARTS}
"""Targets other than datasets, with their parts."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Titles of what was downloaded, and a row for each item that is now present."""

    transferred: tuple[str, ...]
    here: tuple[Row, ...]


def missing_of(target: str, data: str, variant: str, settings: Sequence[str]) -> list[Transfer]:
    """Return the downloads that `fetch_named` would carry out, with the same arguments.

    Raises:
        UvlpError: unknown target or setting.
    """
    if target in MODELS:
        if data or variant:
            what = "--data and --variant do not apply to models"
            raise UvlpError(what, got=target, fix="set HF_HOME instead")
        return models_missing(_models(settings), MODELS[target])
    return dataset_missing(_spec(target, data, variant, settings))


def fetch_named(target: str, data: str, variant: str, settings: Sequence[str], cache: Path) -> Fetched:
    """Download what is missing of ``target``.

    Args:
        target: a dataset, or a key of `MODELS`.
        data: folder for the dataset; empty: ``$UVLP_DATA``, else ``./uvlp_data``.
        variant: of the dataset; empty: its first.
        settings: ``models.FIELD=VALUE``, as in the other commands.
        cache: folder with cached hashes and manifests.

    Raises:
        UvlpError: unknown target or setting, too little disk space, or see `models/published/find.py`.
    """
    if target not in MODELS:
        return _fetch_dataset(target, data, variant, settings, cache)
    transfers = missing_of(target, data, variant, settings)
    models, parts = _models(settings), MODELS[target]
    fetch(transfers, offline=False)
    return Fetched(
        transferred=_titles(transfers), here=tuple(_model_row(models, part, cache) for part in parts)
    )


def _fetch_dataset(target: str, data: str, variant: str, settings: Sequence[str], cache: Path) -> Fetched:
    spec = _spec(target, data, variant, settings)
    transfers = dataset_missing(spec)
    fetch(transfers, offline=False)
    return Fetched(transferred=_titles(transfers), here=(_dataset_row(spec, cache),))


def _spec(target: str, data: str, variant: str, settings: Sequence[str]) -> DatasetSpec:
    spec = DatasetSpec.parse(target, data, variant)
    if spec.name not in plugins.names("datasets"):
        raise unknown_name("dataset or model to fetch", target, [*plugins.names("datasets"), *MODELS])
    check_data_options(spec.name, data, variant)
    if settings:
        raise UvlpError("--set does not apply to datasets", got=settings[0])
    return spec


def _titles(transfers: Sequence[Transfer]) -> tuple[str, ...]:
    return tuple(transfer.download.what for transfer in transfers)


def _models(settings: Sequence[str]) -> ModelSettings:
    models = ModelSettings()
    for text in settings:
        path, equals, value = text.partition("=")
        section, _, name = path.partition(".")
        if section != "models" or not name or not equals:
            raise UvlpError("not a setting of models", got=text, allowed="models.FIELD=VALUE")
        models = overrides.apply(models, name, value)
    check_limits(models, "models")
    return models


def _model_row(models: ModelSettings, part: str, cache: Path) -> Row:
    messages.report("check", part)  # weights are hashed once, which takes a while
    model = find.find(models, part, cache)
    return {
        "what": part,
        "source": model.source,
        "revision": model.revision,
        "place": model.path,
        "sha256": model.sha256,
    }


def _dataset_row(spec: DatasetSpec, cache: Path) -> Row:
    manifest = open_dataset(spec, cache, Progress(print_message, "dataset")).manifest
    return {
        "what": str(spec),
        "source": manifest.source,
        "classes": len(manifest.classes),
        "train": manifest.count("train"),
        "val": manifest.count("val"),
        "place": str(spec.path or spec.root),
        "sha256": manifest.content_hash,
    }
