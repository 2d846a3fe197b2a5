"""SHA-256 of every file of every artifact in a store, by stage, title and file, and what of it differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uvlp.pipeline.planning.planner import STAGES

Hashes = dict[str, dict[str, dict[str, str]]]


def manifests(store: Path) -> list[dict[str, Any]]:
    """Of every finished artifact, in the order of the stages and of their titles."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in store.glob("*/*/manifest.json")]
    return sorted(found, key=lambda each: (STAGES.index(each["stage"]), each["title"]))


def of_store(store: Path) -> Hashes:
    """What the manifests list; keys are left out, which change with any REVISION."""
    found: Hashes = {}
    for each in manifests(store):
        of_stage = found.setdefault(each["stage"], {})
        assert each["title"] not in of_stage, f"two artifacts are called {each['title']!r}"
        of_stage[each["title"]] = each["files"]
    return found


def first_difference(expected: Hashes, found: Hashes) -> str:
    """The first stage with another file, and how many files differ in all; nothing where none does."""
    differing = list(_differences(expected, found))
    if not differing:
        return ""
    stage, title, file = differing[0]
    return f"{stage} is the first stage that differs: {title}: {file}; {len(differing)} files in all"


def _differences(expected: Hashes, found: Hashes) -> Iterator[tuple[str, str, str]]:
    for stage in [*expected, *(stage for stage in found if stage not in expected)]:
        old, new = (_flat(each.get(stage, {})) for each in (expected, found))
        for place in sorted({*old, *new}):
            if old.get(place) != new.get(place):
                yield stage, *place


def _flat(titles: dict[str, dict[str, str]]) -> dict[tuple[str, str], str]:
    return {(title, file): sha for title, files in titles.items() for file, sha in files.items()}
