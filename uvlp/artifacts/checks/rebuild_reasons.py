"""Reasons why artifacts are rebuilt although the store contains those of an earlier, equal request.

A key is a hash, so a raised `REVISION` of a plug-in and a different request look the same in it. The manifest
distinguishes them: equal in everything that was requested, different in something else.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.task import MANIFEST, Task, chain, changed, deciding, plain
from uvlp.core.files import json_files
from uvlp.core.files.unicode_form import nfc
from uvlp.core.wording import cut, first_few

Content = Mapping[str, Any]
TITLE = re.compile(rb'^ "title": (".*"),?$', re.MULTILINE)
"""The title line of a manifest: of thousands of scores, those with other titles need not be parsed."""
TITLE_SUFFIX = re.compile(r", (seed|repeat) .*")
REQUESTED = ("portable", "file", "models", "precision", "seed")
"""Facts that a request can add or omit."""
HASHES = {"models": "published models", "content": "images of the folder", "file": "file"}
"""Facts that are hashes of a task's origins, with descriptions."""
TEXTS = ("name", "caption", "notes")
"""Facts of a table that follow from its content and from the texts in the code."""
NFC = "names are now compared in NFC, and the stored dataset has names in other forms"
OTHER_FILES = "the stored dataset has the same classes and numbers of images, but other files, names, "
OTHER_FILES += "captions, or reading code"
BUILT_IN = "uvlp itself"
LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Datasets:
    """Recognises another content hash as that of the same dataset, from its cached manifest.

    Attributes:
        now: the dataset of the tasks.
        location: its `DatasetSpec.location`; recorded by artifacts of recent versions.
        cache: folder with the manifests of datasets that were opened before.
    """

    now: DatasetManifest
    location: str
    cache: Path

    def difference(self, stored: Content) -> str | None:
        """Return how the dataset of a stored artifact differs; None if it is another dataset."""
        former = self._classes(str(stored["dataset"]))
        same_form = former is None or all(identity == nfc(identity) for identity, *_ in former)
        recorded = stored.get("made", {}).get("dataset")
        if recorded is not None:
            same = nfc(str(recorded)) == nfc(self.location)
        else:
            classes = [(nfc(identity), *counts) for identity, *counts in former or ()]
            same = sorted(classes) == sorted((each.id, each.train, each.val) for each in self.now.classes)
        return (OTHER_FILES if same_form else NFC) if same else None

    def _classes(self, content_hash: str) -> list[tuple[Any, ...]] | None:
        """Return id and numbers of images of every class from the cache; None if not cached."""
        try:
            cached = json_files.parse((self.cache / f"{self.now.name}-{content_hash[:16]}.json").read_bytes())
            # Earlier versions cached manifests without a hash.
            classes = cached.get("content", cached)["classes"]
            return [(str(each["id"]), each["train"], each["val"]) for each in classes]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def reasons(todo: Sequence[Task], root: Path, datasets: Datasets) -> Iterator[str]:
    """Yield a line for each reason to rebuild artifacts of a kind, and one for artifacts that depend on them.

    Args:
        todo: the tasks to run.
        root: the store.
        datasets: recognises the dataset of the tasks.
    """
    by_reason: dict[tuple[str, str], list[Task]] = {}
    unchanged: list[Task] = []
    for kind in dict.fromkeys(task.kind for task in todo):
        tasks = [task for task in todo if task.kind == kind]
        stored = _stored(root, kind, {task.title for task in tasks})
        for task in tasks:
            differing = _nearest(task, stored.get(_group(task.kind, task.title), []), datasets)
            unchanged += [task] * (differing == [])
            for reason in differing or ():
                # The dataset concerns every kind, so one line is enough.
                group = "" if reason in (NFC, OTHER_FILES) else kind
                by_reason.setdefault((group, reason), []).append(task)
    for (_, reason), tasks in by_reason.items():
        titles = dict.fromkeys(TITLE_SUFFIX.sub("", task.title) for task in tasks)
        yield f"{first_few(titles)}: rebuilt: {reason}"
    named = {task.key for tasks in by_reason.values() for task in tasks}
    dependent = [task.kind for task in unchanged if any(earlier.key in named for earlier in chain(task))]
    if dependent:
        yield f"{', '.join(dict.fromkeys(dependent))}: {len(dependent)} rebuilt from these"


def _stored(root: Path, kind: str, titles: set[str]) -> dict[str, list[Content]]:
    """Return manifests of a kind with one of ``titles``, by title; all tables, since they may be renamed."""
    by_title: dict[str, list[Content]] = {}
    for folder in store_mark.artifacts(root, kind):
        # Damage is reported when the artifact is needed.
        with contextlib.suppress(OSError, ValueError):
            text = (folder / MANIFEST).read_bytes()
            title = TITLE.search(text)
            named = json.loads(title[1]) if title else None
            if named in titles or kind == tables.KIND:
                by_title.setdefault(_group(kind, str(named)), []).append(json_files.parse(text))
    return by_title


def _group(kind: str, title: str) -> str:
    return "" if kind == tables.KIND else title


def _nearest(task: Task, stored: Sequence[Content], datasets: Datasets) -> list[str] | None:
    """Return the fewest differences from a stored artifact of the same request; None without one."""
    candidates = []
    for content in stored:
        # A manifest with an unknown structure is skipped.
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            candidates.append(differences(task, content, datasets))
    return min((each for each in candidates if each is not None), key=len, default=None)


def differences(task: Task, stored: Content, datasets: Datasets) -> list[str] | None:
    """Describe the differences between a task and a stored artifact, apart from their inputs.

    Returns:
        None if the request of the stored artifact differed; [] if only the inputs differ.

    Raises:
        KeyError, TypeError, AttributeError: the stored manifest has an unknown structure.
    """
    if any(stored[name] != getattr(task, name) for name in ("kind", "stage", "plugin")):
        return None
    if task.kind == tables.KIND and stored["inputs"] != task.identity()["inputs"]:
        return [] if stored["facts"]["cells"] == plain(task.facts)["cells"] else None
    dataset = [] if stored["dataset"] == task.dataset else [datasets.difference(stored)]
    parts = (dataset, _settings(task, stored), _facts(task, stored))
    all_reasons = [reason for part in parts for reason in part]
    if any(reason is None for reason in all_reasons):
        return None
    return [*_code(task, stored), *map(str, all_reasons)]


def _code(task: Task, stored: Content) -> Iterator[str]:
    """Yield differences in schemas, revisions and packages."""
    if task.schema != stored["schema"]:
        yield f"its files have schema {task.schema}, in the store {stored['schema']}"
    if task.revision != stored["revision"]:
        yield f"its code has revision {task.revision}, in the store {stored['revision']}"
    before = stored.get("revisions", {})
    for role in dict.fromkeys([*task.revisions, *before]):
        now, then = task.revisions.get(role, 1), before.get(role, 1)
        if now != then:
            yield f"the code of its {role} has revision {now}, in the store {then}"
    packages = stored.get("packages", {})
    for role in dict.fromkeys([*task.packages, *packages]):
        here, there = task.packages.get(role, BUILT_IN), packages.get(role, BUILT_IN)
        if here != there:
            yield f"its {role} comes from {here}, in the store from {there}"


def _settings(task: Task, stored: Content) -> Iterator[str | None]:
    """Yield differing defaults; None for a differing setting that was requested."""
    now = deciding(task.settings) if task.settings is not None else {}
    then = stored["settings"]
    requested = {*changed(task.settings), *stored.get("changed_settings", then)}
    for name in now:
        if name not in then:
            if name in requested:
                yield None
        elif now[name] != then[name]:
            reason = f"the default of {name} is {_shown(now[name])}, in the store {_shown(then[name])}"
            yield None if name in requested else reason


def _facts(task: Task, stored: Content) -> Iterator[str | None]:
    """Yield differing facts that were not requested; None for a differing fact that was."""
    now, then = plain(task.facts), stored["facts"]
    origins = dict(task.origins)
    same_origins = bool(origins) and origins == stored.get("made", {}).get("origins")
    for name in dict.fromkeys([*now, *then]):
        if name not in now or name not in then:
            added = f"its {name} is now recorded" if name in now else f"its {name} is no longer recorded"
            yield None if name in REQUESTED else added
        elif now[name] == then[name]:
            continue
        elif name in HASHES:
            yield f"the {HASHES[name]} at {first_few(origins.values())} changed" if same_origins else None
        elif name == "portable":
            yield f"--portable is {_shown(now[name])}, in the store {_shown(then[name])}"
        elif name in TEXTS and task.kind == tables.KIND:
            named = f"its name is {_shown(now[name])}, in the store {_shown(then[name])}"
            yield named if name == "name" else f"the wording of its {name} changed"
        else:
            yield None


def _shown(value: Any) -> str:
    return cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LONGEST_VALUE)
