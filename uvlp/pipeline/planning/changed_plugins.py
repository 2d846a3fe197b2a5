"""Plug-ins that were edited without raising their REVISION since finished artifacts were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import read_manifest
from uvlp.core import machine
from uvlp.core.hashing import file_sha256
from uvlp.pipeline.prepare import Plan


def _same_version(made: Mapping[str, Any]) -> bool:
    return bool(made.get("versions", {}).get("uvlp") == machine.versions()["uvlp"])


def notes(plan: Plan, store: Store) -> Iterator[str]:
    """Yield a line per edited file whose old results this run reuses.

    Of each stage one artifact is looked at. An update of UVLP is no edit: there, REVISIONs are maintained.
    """
    sha256 = cache(lambda path: file_sha256(Path(path)))
    seen: set[tuple[str, str]] = set()
    noted: set[str] = set()
    for task in plan.tasks:
        new = {role: path for role, path in task.sources.items() if (task.stage, path) not in seen}
        if not new or not store.has(task):
            continue
        seen |= {(task.stage, path) for path in new.values()}
        made = read_manifest(store.folder(task)).get("made", {})
        for role, path in new.items():
            recorded = made.get("sources", {}).get(role)
            if recorded and path not in noted and recorded != sha256(path) and _same_version(made):
                noted.add(path)
                yield (
                    f"{'/'.join(Path(path).parts[-2:])} has changed since {task.title} was made "
                    f"({made.get('at', '')[:10]}): results of the old code are reused; raise its REVISION to "
                    "rebuild them, or use another --store"
                )
