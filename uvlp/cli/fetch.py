"""`uvlp fetch`: get datasets and published models, announced first; afterwards nothing needs the network."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.progress import Progress, print_remark
from uvlp.models.published import find as pretrained
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.names import check_place
from uvlp.pipeline.transfers import carry_out, dataset_missing, models_missing
from uvlp.recipes import overrides
from uvlp.recipes.schema import ModelSettings
from uvlp.recipes.setting import check_limits

MODELS = {"models": ("diffusion", "clip", "llava")} | {part: (part,) for part in pretrained.PARTS}
"""Targets of the command that are no dataset, with their parts."""


def run(target: str, data: str, variant: str, settings: Sequence[str], cache: Path, as_json: bool) -> None:
    """Fetch what is missing of ``target`` and print what is there.

    Args:
        target: a dataset, or a key of `MODELS`.
        data: folder for the dataset; empty: ``$UVLP_DATA``, else ``./uvlp_data``.
        variant: of the dataset; empty: its first.
        settings: ``models.FIELD=VALUE``, as in the other commands.
        cache: where hashes and manifests are remembered.
        as_json: print JSON instead of lines.

    Raises:
        UvlpError: unknown target or setting, too little disk, or see `models/published/find.py`.
    """
    if target in MODELS:
        if data or variant:
            raise UvlpError(
                "--data and --variant say nothing of models", got=target, do="set HF_HOME instead"
            )
        models = _models(settings)
        transfers = models_missing(models, MODELS[target])
        carry_out(transfers)
        rows = [_model_row(models, part, cache) for part in MODELS[target]]
    else:
        spec = _spec(target, data, variant)
        if settings:
            raise UvlpError("--set says nothing of a dataset to fetch", got=settings[0])
        transfers = dataset_missing(spec)
        carry_out(transfers)
        rows = [_dataset_row(spec, cache)]
    if as_json:
        fetched = [transfer.download.what for transfer in transfers]
        print(json.dumps({"fetched": fetched, "here": rows}, indent=1, ensure_ascii=False))
        return
    for row in rows:
        revision = f" at {row['revision']}" if row.get("revision") else ""
        print(f"{row['what']}: {row['place']}{revision}  sha256 {row['sha256']}")


def _models(settings: Sequence[str]) -> ModelSettings:
    models = ModelSettings()
    for text in settings:
        path, equals, value = text.partition("=")
        room, _, name = path.partition(".")
        if room != "models" or not name or not equals:
            raise UvlpError("this setting says nothing of models", got=text, allowed="models.FIELD=VALUE")
        models = overrides.apply(models, name, value)
    check_limits(models, "models")
    return models


def _spec(target: str, data: str, variant: str) -> DatasetSpec:
    spec = DatasetSpec.parse(target, data, variant)
    if spec.name not in plugins.names("datasets"):
        raise unknown_name("thing to fetch", target, [*plugins.names("datasets"), *MODELS])
    check_place(spec.name, data, variant)
    return spec


def _model_row(models: ModelSettings, part: str, cache: Path) -> dict[str, Any]:
    print(f"check  {part}", file=sys.stderr)  # weights are hashed once, which takes a while
    found = pretrained.find(models, part, cache)
    return {
        "what": part,
        "source": found.source,
        "revision": found.revision,
        "place": found.place,
        "sha256": found.sha256,
    }


def _dataset_row(spec: DatasetSpec, cache: Path) -> dict[str, Any]:
    manifest = open_dataset(spec, cache, Progress(print_remark, "dataset")).manifest
    place = spec.argument or str(spec.root)
    return {
        "what": str(spec),
        "source": manifest.source,
        "classes": len(manifest.classes),
        "train": sum(each.train for each in manifest.classes),
        "val": sum(each.val for each in manifest.classes),
        "place": place,
        "sha256": manifest.content_hash,
    }
