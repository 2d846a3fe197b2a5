"""Why artifacts are made although the store holds what an earlier call with the same request made.

A key is a hash, so that a plug-in's raised `REVISION` and a request for something else look alike in it. What
a manifest records tells them apart: equal in all that is asked for, different in what nobody asks for.
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
"""The line of a manifest: of thousands of scores those with other titles need not be parsed."""
BESIDE_A_TITLE = re.compile(r", (seed|repeat) .*")
ASKED_FOR = ("portable", "file", "models", "precision", "seed")
"""Facts that a request brings in or leaves out."""
READ = {"models": "published models", "content": "images of the folder", "file": "file"}
"""Facts that are hashes of what lies at a task's origins."""
TEXTS = ("name", "caption", "notes")
"""Facts of a table that follow from what it shows and the code that words it."""
NFC = "names are compared in NFC now, and the dataset in the store has other forms"
OTHER_FILES = "the dataset in the store has the same classes and numbers of images, but other files, names, "
OTHER_FILES += "captions, or ways to read them"
OURS = "uvlp itself"
LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Datasets:
    """Tells whether another content hash is that of the same dataset, by what was kept of it.

    Attributes:
        now: the dataset of the tasks.
        place: `manifest.place` of it; artifacts record it since they have reasons.
        cache: folder with the manifests of datasets that were opened before.
    """

    now: DatasetManifest
    place: str
    cache: Path

    def difference(self, stored: Content) -> str | None:
        """What is different about the dataset of a stored artifact; None where it is another one."""
        former = self._classes(str(stored["dataset"]))
        same_form = former is None or all(identity == nfc(identity) for identity, *_ in former)
        recorded = stored.get("made", {}).get("dataset")
        if recorded is not None:
            alike = nfc(str(recorded)) == nfc(self.place)
        else:
            classes = [(nfc(identity), *counts) for identity, *counts in former or ()]
            alike = sorted(classes) == sorted((each.id, each.train, each.val) for each in self.now.classes)
        return (OTHER_FILES if same_form else NFC) if alike else None

    def _classes(self, content_hash: str) -> list[tuple[Any, ...]] | None:
        """Id and numbers of images of every class, as an earlier call found them; None where none is kept."""
        try:
            kept = json_files.parse((self.cache / f"{self.now.name}-{content_hash[:16]}.json").read_bytes())
            # Before, what is kept of a dataset had no hash in front of it.
            classes = kept.get("content", kept)["classes"]
            return [(str(each["id"]), each["train"], each["val"]) for each in classes]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def reasons(todo: Sequence[Task], root: Path, datasets: Datasets) -> Iterator[str]:
    """A line for each reason for which artifacts of a kind are made anew, and one for what follows from them.

    Args:
        todo: what is to be made.
        root: the store.
        datasets: of the tasks.
    """
    found: dict[tuple[str, str], list[Task]] = {}
    alike: list[Task] = []
    for kind in dict.fromkeys(task.kind for task in todo):
        tasks = [task for task in todo if task.kind == kind]
        stored = _stored(root, kind, {task.title for task in tasks})
        for task in tasks:
            different = _nearest(task, stored.get(_group(task.kind, task.title), []), datasets)
            alike += [task] * (different == [])
            for reason in different or ():
                # A dataset is everything's: it needs no line for every kind.
                group = "" if reason in (NFC, OTHER_FILES) else kind
                found.setdefault((group, reason), []).append(task)
    for (_, reason), tasks in found.items():
        titles = dict.fromkeys(BESIDE_A_TITLE.sub("", task.title) for task in tasks)
        yield f"{first_few(titles)}: made anew: {reason}"
    named = {task.key for tasks in found.values() for task in tasks}
    follow = [task.kind for task in alike if any(earlier.key in named for earlier in chain(task))]
    if follow:
        yield f"{', '.join(dict.fromkeys(follow))}: {len(follow)} made anew from these"


def _stored(root: Path, kind: str, titles: set[str]) -> dict[str, list[Content]]:
    """Manifests of a kind with one of ``titles``, by title; every table, whose name may be an earlier one."""
    found: dict[str, list[Content]] = {}
    for folder in store_mark.artifacts(root, kind):
        # A damaged one is told of where it is needed.
        with contextlib.suppress(OSError, ValueError):
            text = (folder / MANIFEST).read_bytes()
            title = TITLE.search(text)
            named = json.loads(title[1]) if title else None
            if named in titles or kind == tables.KIND:
                found.setdefault(_group(kind, str(named)), []).append(json_files.parse(text))
    return found


def _group(kind: str, title: str) -> str:
    return "" if kind == tables.KIND else title


def _nearest(task: Task, stored: Sequence[Content], datasets: Datasets) -> list[str] | None:
    """The differences from the stored artifact of the same request that has the fewest; None without one."""
    found = []
    for content in stored:
        # What no version wrote is no artifact of the same request.
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            found.append(differences(task, content, datasets))
    return min((each for each in found if each is not None), key=len, default=None)


def differences(task: Task, stored: Content, datasets: Datasets) -> list[str] | None:
    """What differs between a task and a stored artifact beside their inputs, in words.

    Returns:
        None where the stored one was asked for with other words; [] where they differ in their inputs alone.

    Raises:
        KeyError, TypeError, AttributeError: the stored manifest has another shape.
    """
    if any(stored[name] != getattr(task, name) for name in ("kind", "stage", "plugin")):
        return None
    if task.kind == tables.KIND and stored["inputs"] != task.identity()["inputs"]:
        return [] if stored["facts"]["cells"] == plain(task.facts)["cells"] else None
    dataset = [] if stored["dataset"] == task.dataset else [datasets.difference(stored)]
    parts = (dataset, _settings(task, stored), _facts(task, stored))
    found = [reason for part in parts for reason in part]
    if any(reason is None for reason in found):
        return None
    return [*_code(task, stored), *map(str, found)]


def _code(task: Task, stored: Content) -> Iterator[str]:
    """Numbers that say with which code it was made."""
    if task.schema != stored["schema"]:
        yield f"its files are of schema {task.schema}, in the store of {stored['schema']}"
    if task.revision != stored["revision"]:
        yield f"its code is of revision {task.revision}, in the store of {stored['revision']}"
    before = stored.get("revisions", {})
    for role in dict.fromkeys([*task.revisions, *before]):
        now, then = task.revisions.get(role, 1), before.get(role, 1)
        if now != then:
            yield f"the code of its {role} is of revision {now}, in the store of {then}"
    packages = stored.get("packages", {})
    for role in dict.fromkeys([*task.packages, *packages]):
        here, there = task.packages.get(role, OURS), packages.get(role, OURS)
        if here != there:
            yield f"its {role} is of {here}, in the store of {there}"


def _settings(task: Task, stored: Content) -> Iterator[str | None]:
    """Defaults that differ; None where a setting was set otherwise."""
    now = deciding(task.settings) if task.settings is not None else {}
    then = stored["settings"]
    asked = {*changed(task.settings), *stored.get("changed_settings", then)}
    for name in now:
        if name not in then:
            if name in asked:
                yield None
        elif now[name] != then[name]:
            told = f"the default of {name} is {_shown(now[name])}, in the store {_shown(then[name])}"
            yield None if name in asked else told


def _facts(task: Task, stored: Content) -> Iterator[str | None]:
    """Facts that nobody asks for and that differ; None where one differs that somebody asked for."""
    now, then = plain(task.facts), stored["facts"]
    origins = dict(task.origins)
    same_place = bool(origins) and origins == stored.get("made", {}).get("origins")
    for name in dict.fromkeys([*now, *then]):
        if name not in now or name not in then:
            added = f"its {name} is recorded now" if name in now else f"its {name} is no longer recorded"
            yield None if name in ASKED_FOR else added
        elif now[name] == then[name]:
            continue
        elif name in READ:
            yield f"the {READ[name]} at {first_few(origins.values())} changed" if same_place else None
        elif name == "portable":
            yield f"--portable is {_shown(now[name])} here, {_shown(then[name])} in the store"
        elif name in TEXTS and task.kind == tables.KIND:
            named = f"its name is {_shown(now[name])}, in the store {_shown(then[name])}"
            yield named if name == "name" else f"its {name} is in other words"
        else:
            yield None


def _shown(value: Any) -> str:
    return cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LONGEST_VALUE)
