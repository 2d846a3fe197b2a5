"""On which devices the stored results of a method were made: the manifests behind the tables of its run."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.task import read_manifest
from uvlp.recipes.schema import Recipe
from uvlp.tables.notes import COMPUTED

Devices = dict[str, dict[str, int]]
"""Number of artifacts by stage and type of device."""


def devices(root: Path, recipe: Recipe, method: str) -> Devices:
    """Return the devices of what tables of a store with this dataset and IPC have of a method.

    Args:
        root: the store; empty without one there, or without such a table.
        recipe: of the run.
        method: as in tables, with its variant.
    """
    if not store_mark.is_marked(root):
        return {}
    # Artifacts of early versions name no device.
    found: dict[str, Counter[str]] = {}
    for content in _behind(root, recipe, method):
        made = content.get("made")
        if content.get("stage") in COMPUTED and isinstance(made, Mapping) and "gpu" in made:
            found.setdefault(str(content["stage"]), Counter())[str(made["gpu"] or "CPU")] += 1
    return {stage: dict(sorted(found[stage].items())) for stage in COMPUTED if stage in found}


def _behind(root: Path, recipe: Recipe, method: str) -> Iterator[Mapping[str, Any]]:
    """Yield the manifests of a method's scores and of all that they were made from, each once."""
    by_key = {folder.name: folder for folder in store_mark.artifacts(root)}
    waiting = [
        key for table in store_mark.artifacts(root, tables.KIND) for key in _scores(table, recipe, method)
    ]
    seen: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in seen or key not in by_key:
            continue
        seen.add(key)
        with contextlib.suppress(OSError, ValueError):  # deleted or damaged: `uvlp verify` names it
            content = read_manifest(by_key[key])
            inputs = content.get("inputs")
            waiting += map(str, inputs.values()) if isinstance(inputs, Mapping) else ()
            yield content


def _scores(table: Path, recipe: Recipe, method: str) -> list[str]:
    """Return the keys of a method's scores in a table; none if it is about another dataset or IPC."""
    name = re.compile(rf"{re.escape(recipe.dataset.partition(':')[0])}(-.*)?-ipc{recipe.ipc}(-.*)?")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = read_manifest(table)
        if name.fullmatch(content["facts"]["name"]):
            cells = [cell for cell in content["facts"]["cells"] if cell["method"] == method]
            return [content["inputs"][score] for cell in cells for score in cell["scores"]]
    return []
