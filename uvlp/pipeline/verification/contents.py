"""What lies in a store, or in a part of one that was copied elsewhere: every manifest, read once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from uvlp.artifacts import distilled, pixels, scores, tables, teachers
from uvlp.artifacts.checks.kinds import REQUIRED
from uvlp.artifacts.checks.store_mark import KEY
from uvlp.artifacts.scores import Score
from uvlp.artifacts.tables import Table
from uvlp.artifacts.task import MANIFEST
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files

NO_MANIFEST = "no manifest says what it is made from"
INPUT_KINDS = {
    (scores.KIND, "distilled"): distilled.KIND,
    (scores.KIND, "validation"): pixels.KIND,
    (scores.KIND, "teacher"): teachers.KIND,
    (teachers.KIND, "validation"): pixels.KIND,
}
"""Kind of an input by the kind of what is made from it, and its name there; a table is made from scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The entries of a `manifest.json` (see `artifacts/task.py`)."""

    kind: str
    schema: int
    stage: str
    plugin: str
    revision: int
    settings: dict[str, Any]
    facts: dict[str, Any]
    inputs: dict[str, str]
    dataset: str
    key: str
    title: str
    files: dict[str, str]
    made: dict[str, Any] | None = None
    changed_settings: dict[str, Any] | None = None
    revisions: dict[str, int] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    inputs_sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFacts:
    """The facts of a score's task that are compared."""

    network: str
    seed: int
    repeat: int
    ipc: int | None = None
    portable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFacts:
    """A cell of a table as its task lists it; ``scores`` are names of the task's inputs."""

    method: str
    title: str
    network: str
    scores: tuple[str, ...]
    soft_label_epochs: int | None = None
    classes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """The facts of a table's task."""

    name: str
    caption: str
    cells: tuple[CellFacts, ...]
    notes: tuple[str, ...]
    portable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A folder below ``<root>/<kind>/``.

    Attributes:
        name: ``kind/key``.
        folder: where it lies.
        content: its manifest as it was read, for the key.
        manifest: the same by entries; None where it has another form.
        facts: of a score or a table.
        wrong: what is wrong with the manifest, empty if nothing is.
    """

    name: str
    folder: Path
    content: Mapping[str, Any] = field(default_factory=dict)
    manifest: Manifest | None = None
    facts: ScoreFacts | TableFacts | None = None
    wrong: str = ""

    @property
    def kind(self) -> str:
        """The folder below the root."""
        return self.name.partition("/")[0]

    @property
    def key(self) -> str:
        """Name of the folder."""
        return self.name.partition("/")[2]


@dataclass(kw_only=True)
class Contents:
    """Everything that is looked at.

    Attributes:
        root: the store.
        artifacts: by name.
        strays: below the folders of kinds, what is no artifact; with what is wrong.
        damaged: names of artifacts of which a file or the manifest is wrong: what else they say is not used.
    """

    root: Path
    artifacts: dict[str, Artifact]
    strays: list[tuple[str, str]] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    _scores: dict[str, Score | None] = field(default_factory=dict)

    @cached_property
    def by_key(self) -> dict[str, Artifact]:
        """Artifacts by key, which no two kinds share."""
        return {one.key: one for one in self.artifacts.values()}

    def of_kind(self, kind: str) -> Iterator[Artifact]:
        """The artifacts of a kind that can be used."""
        for one in self.artifacts.values():
            if one.kind == kind and one.manifest is not None and one.name not in self.damaged:
                yield one

    def usable(self, key: str) -> Artifact | None:
        """An artifact that is there and as it was made; None otherwise."""
        found = self.by_key.get(key)
        return found if found and found.manifest is not None and found.name not in self.damaged else None

    def score(self, name: str) -> Score | None:
        """A score; None where it is not there, damaged, or contradicts itself."""
        if name not in self._scores:
            found = self.usable(name.rpartition("/")[2])
            self._scores[name] = _score(found.folder) if found else None
        return self._scores[name]

    def behind(self, names: Iterable[str]) -> Contents:
        """These artifacts and all that they are made from."""
        wanted: dict[str, Artifact] = {}
        left = list(names)
        while left:
            one = self.artifacts[left.pop()]
            if one.name not in wanted:
                wanted[one.name] = one
                keys = one.manifest.inputs.values() if one.manifest else ()
                left += [self.by_key[key].name for key in keys if key in self.by_key]
        strays = [(file, what) for file, what in self.strays if file.count("/") == 0]
        kept = {name: one for name, one in self.artifacts.items() if name in wanted}
        return Contents(root=self.root, artifacts=kept, strays=strays)


def read_contents(root: Path) -> Contents:
    """Every artifact below ``root``, and what lies beside them where only artifacts belong."""
    found = Contents(root=root, artifacts={})
    for kind in REQUIRED:
        place = root / kind
        if place.is_symlink():
            found.strays.append((kind, "a link"))
        elif place.is_dir():
            for entry in sorted(os.scandir(place), key=lambda each: each.name):
                name = f"{kind}/{entry.name}"
                if entry.is_symlink():
                    found.strays.append((name, "a link"))
                elif entry.is_dir() and KEY.fullmatch(entry.name):
                    found.artifacts[name] = _artifact(root, name)
                else:
                    found.strays.append((name, "no folder that is named by a key"))
    return found


def _score(folder: Path) -> Score | None:
    try:
        score = scores.read(folder)
        return None if scores.contradiction(score) else score
    except (UvlpError, OSError, ValueError, LookupError, TypeError, OverflowError):
        return None  # named by `accuracies`


def _artifact(root: Path, name: str) -> Artifact:
    folder = root / name
    content: Any = {}
    try:
        if (folder / MANIFEST).is_symlink():
            return Artifact(name=name, folder=folder, wrong="its manifest is a link")
        content = json_files.parse((folder / MANIFEST).read_bytes())
        manifest = json_files.build(Manifest, content)
        facts = _facts(name.partition("/")[0], manifest.facts)
    except FileNotFoundError:
        return Artifact(name=name, folder=folder, wrong=NO_MANIFEST)
    except (OSError, ValueError) as error:
        return Artifact(name=name, folder=folder, wrong=f"it cannot be read: {error}")
    return Artifact(name=name, folder=folder, content=content, manifest=manifest, facts=facts)


def _facts(kind: str, facts: Mapping[str, Any]) -> ScoreFacts | TableFacts | None:
    """The facts of a kind that are compared.

    Raises:
        ValueError: they have another form.
    """
    if kind == scores.KIND:
        return json_files.build(ScoreFacts, _known(ScoreFacts, facts))
    if kind != tables.KIND:
        return None
    found = json_files.build(TableFacts, _known(TableFacts, facts))
    if not found.cells or not all(cell.scores for cell in found.cells):
        raise ValueError("a table without cells, or a cell without scores")
    return found


def _known(form: type[ScoreFacts] | type[TableFacts], facts: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(form)}
    return {name: value for name, value in facts.items() if name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A table whose manifest can be used.

    Attributes:
        artifact: where it lies.
        facts: of its task.
        table: its numbers; None where `table.json` is damaged or of an earlier schema.
    """

    artifact: Artifact
    facts: TableFacts
    table: Table | None

    def names(self, cell: CellFacts) -> list[str]:
        """Names of the artifacts of a cell's scores."""
        assert self.artifact.manifest is not None
        return [f"{scores.KIND}/{self.artifact.manifest.inputs.get(each, '')}" for each in cell.scores]


def measured(contents: Contents) -> Iterator[Measured]:
    """The tables of which at least the manifest can be used."""
    for one in contents.artifacts.values():
        if isinstance(one.facts, TableFacts) and not one.wrong:
            yield Measured(artifact=one, facts=one.facts, table=_table(one, contents))


def _table(one: Artifact, contents: Contents) -> Table | None:
    try:
        found = None if one.name in contents.damaged else tables.read(one.folder)
    except (UvlpError, OSError):
        return None
    return found if found and found.cells else None
