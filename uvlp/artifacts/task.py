"""Specification of an artifact (`Task`), and the record of a complete one (`manifest.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.files import json_files
from uvlp.core.hashing import digest

MANIFEST = "manifest.json"
KEY_LENGTH = 16


def plain(value: Any) -> Any:
    """Convert settings to JSON values: dataclasses to dictionaries, tuples to lists."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def deciding(settings: Any) -> dict[str, Any]:
    """Return the fields of a settings dataclass that affect results, as JSON values."""
    return {
        f.name: plain(getattr(settings, f.name)) for f in fields(settings) if f.metadata.get("decides", True)
    }


def changed(settings: Any) -> dict[str, Any]:
    """Return the fields of `deciding` that differ from their defaults."""
    if settings is None:
        return {}
    default = deciding(type(settings)())
    return {name: value for name, value in deciding(settings).items() if value != default[name]}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Specification of one artifact: its stage and everything that determines its bytes.

    Attributes:
        kind: kind of the artifact, the folder below the store's root.
        stage: file in `uvlp/stages` that builds it.
        plugin: method, protocol or model part that the stage uses.
        revision: the plug-in's `REVISION`; raised when its defaults or results change.
        revisions: `REVISION` of other code that affects the result, by role (dataset, network, sampler).
        packages: distribution and version of plug-ins from other packages, by role.
        schema: version of the kind's files.
        settings: frozen dataclass of the stage's settings.
        facts: further values that affect the result (ipc, seed, repeat, ...).
        inputs: name -> Task of another artifact.
        unhashed: names of inputs that are not part of the key, because their content follows from the rest of
            it. They only save work: they are not made again once this artifact exists.
        dataset: content hash of the dataset, if the stage reads it.
        dataset_spec: how to open that dataset; specific to the machine, not part of the key.
        origins: name -> path of further inputs of the stage (a folder of images, a checkpoint, a published
            model); specific to the machine, not part of the key, unlike their hashes among the facts.
        sources: role -> path of a plug-in's file; its hash is recorded in the manifest, not in the key.
        title: title shown to the user.
    """

    kind: str
    stage: str
    plugin: str = ""
    revision: int = 1
    revisions: Mapping[str, int] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    schema: int = 1
    settings: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Task] = field(default_factory=dict)
    unhashed: tuple[str, ...] = ()
    dataset: str = ""
    dataset_spec: DatasetSpec | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    title: str = ""

    def identity(self) -> dict[str, Any]:
        """Return the values that are hashed into the key.

        Other revisions are included only from 2 on, so that code that gets a first revision keeps its keys.
        """
        later = {name: number for name, number in self.revisions.items() if number != 1}
        return {
            "kind": self.kind,
            "schema": self.schema,
            "stage": self.stage,
            "plugin": self.plugin,
            "revision": self.revision,
            "settings": changed(self.settings),
            "facts": plain(self.facts),
            "inputs": {name: task.key for name, task in self.hashed.items()},
            "dataset": self.dataset,
            **({"revisions": later} if later else {}),
            **({"packages": dict(self.packages)} if self.packages else {}),
        }

    @cached_property
    def key(self) -> str:
        """Hexadecimal name of the artifact's folder."""
        return digest(self.identity())[:KEY_LENGTH]

    @property
    def name(self) -> str:
        """`kind/key`, the artifact's path below the store's root."""
        return f"{self.kind}/{self.key}"

    @property
    def hashed(self) -> Mapping[str, Task]:
        """The inputs that are part of the key."""
        return {name: task for name, task in self.inputs.items() if name not in self.unhashed}

    @property
    def whole_set(self) -> bool:
        """Whether it uses the full training set instead of some images per class."""
        return "ipc" not in self.facts

    @property
    def published(self) -> bool:
        """Whether published models compute it, with the recipe's dtype."""
        return "precision" in self.facts

    @property
    def portable(self) -> bool:
        """Whether it is computed with `--portable`, with the same bytes on every processor."""
        return "portable" in self.facts

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)


NOT_IN_KEY = ("key", "title", "settings", "changed_settings", "inputs_sha256", "files", "made")
"""Entries of a manifest that are not hashed into its key in this form."""


def key_of(content: Mapping[str, Any]) -> str | None:
    """Compute the key from a manifest; None for early manifests, which are incomplete."""
    if "changed_settings" not in content:
        return None
    identity = {name: value for name, value in content.items() if name not in NOT_IN_KEY}
    return digest(identity | {"settings": content["changed_settings"]})[:KEY_LENGTH]


def manifest(
    task: Task, files: Mapping[str, str], facts: Mapping[str, Any], inputs: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the manifest: identity, all settings, inputs, SHA-256 of files, and facts about the machine.

    Args:
        task: the task.
        files: SHA-256 by file name.
        facts: facts about the machine.
        inputs: SHA-256 of inputs that are compared later, by name.
    """
    return {
        **task.identity(),
        "key": task.key,
        "title": task.title,
        "settings": plain(task.settings) if task.settings is not None else {},
        "changed_settings": changed(task.settings),
        **({"inputs_sha256": dict(inputs)} if inputs else {}),
        "files": dict(sorted(files.items())),
        "made": dict(facts),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a finished artifact, an object whose ``files`` are hashes by name.

    Raises:
        ValueError: it has another structure.
        OSError: it cannot be read.
    """
    content = json_files.parse((folder / MANIFEST).read_bytes())
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(isinstance(sha256, str) for sha256 in files.values()):
        raise ValueError("not an object with files")
    result: dict[str, Any] = content
    return result


def chain(task: Task) -> Iterator[Task]:
    """Yield the task and all its direct and indirect inputs, inputs first, each once."""
    seen: set[str] = set()

    def walk(current: Task) -> Iterator[Task]:
        if current.key in seen:
            return
        seen.add(current.key)
        for earlier in current.inputs.values():
            yield from walk(earlier)
        yield current

    yield from walk(task)
