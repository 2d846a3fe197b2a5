"""SHA-256 of every file of every artifact in a store, by stage, title and file, and their comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uvlp.pipeline.planning.planner import STAGES

Hashes = dict[str, dict[str, dict[str, str]]]


def manifests(store: Path) -> list[dict[str, Any]]:
    """Return the manifests of all finished artifacts, sorted by stage and title."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in store.glob("*/*/manifest.json")]
    return sorted(contents, key=lambda each: (STAGES.index(each["stage"]), each["title"]))


def of_store(store: Path) -> Hashes:
    """Return the hashes in the manifests, without keys, which change with any REVISION."""
    hashes: Hashes = {}
    for each in manifests(store):
        of_stage = hashes.setdefault(each["stage"], {})
        assert each["title"] not in of_stage, f"two artifacts have the title {each['title']!r}"
        of_stage[each["title"]] = each["files"]
    return hashes


def first_difference(expected: Hashes, actual: Hashes) -> str:
    """Return the first stage with a different file, and the number of different files; empty if none."""
    differing = list(_differences(expected, actual))
    if not differing:
        return ""
    stage, title, file = differing[0]
    return f"{stage} is the first stage that differs: {title}: {file}; {len(differing)} files in total"


def _differences(expected: Hashes, actual: Hashes) -> Iterator[tuple[str, str, str]]:
    for stage in [*expected, *(stage for stage in actual if stage not in expected)]:
        old, new = (_flat(each.get(stage, {})) for each in (expected, actual))
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                yield stage, *name


def _flat(titles: dict[str, dict[str, str]]) -> dict[tuple[str, str], str]:
    return {(title, file): sha for title, files in titles.items() for file, sha in files.items()}
