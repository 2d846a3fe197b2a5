"""What an artifact is made from (`Task`) and the record that says it is complete (`manifest.json`)."""

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
    """Settings as JSON values: dataclasses become dictionaries, tuples lists."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def deciding(settings: Any) -> dict[str, Any]:
    """The fields of a settings dataclass on which the result depends, as JSON values."""
    return {
        f.name: plain(getattr(settings, f.name)) for f in fields(settings) if f.metadata.get("decides", True)
    }


def changed(settings: Any) -> dict[str, Any]:
    """Those of `deciding` that differ from their defaults."""
    if settings is None:
        return {}
    default = deciding(type(settings)())
    return {name: value for name, value in deciding(settings).items() if value != default[name]}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One artifact to be made: the stage that makes it and all that decides about its bytes.

    Attributes:
        kind: kind of the artifact, the folder below the store's root.
        stage: file in `uvlp/stages` that makes it.
        plugin: method, evaluator or model part that the stage calls, with its variant.
        revision: the plug-in's `REVISION`; raised when its defaults or results change.
        revisions: `REVISION` by role of what else computes the result (dataset, network, sampler).
        packages: distribution and version by role, of what packages of others compute in it.
        schema: version of the kind's files.
        settings: frozen dataclass of the stage's settings.
        facts: further values that decide about the result (ipc, seed, repeat, ...).
        inputs: name -> Task of another artifact.
        dataset: content hash of the dataset, where the stage reads it.
        dataset_spec: how to open that dataset; a machine fact, not part of the key.
        origins: name -> place of what the stage reads beside the dataset (a folder of images, a checkpoint,
            a published model); machine facts, not part of the key, unlike their hashes among the facts.
        title: what the user reads while it is made.
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
    dataset: str = ""
    dataset_spec: DatasetSpec | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    title: str = ""

    def identity(self) -> dict[str, Any]:
        """What is hashed into the key.

        Further revisions stand in it from 2 on, so that a part that gets one keeps the keys it has.
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
            "inputs": {name: task.key for name, task in self.inputs.items()},
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
        """`kind/key`, the artifact's place below the store's root."""
        return f"{self.kind}/{self.key}"

    @property
    def whole_set(self) -> bool:
        """Whether it is about the whole training set, not about some images per class."""
        return "ipc" not in self.facts

    @property
    def published(self) -> bool:
        """Whether published models compute it, in a number type of the recipe's."""
        return "precision" in self.facts

    @property
    def portable(self) -> bool:
        """Whether it is computed so that every processor gives the same bytes."""
        return "portable" in self.facts

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)


BESIDE = ("key", "title", "settings", "changed_settings", "inputs_sha256", "files", "made")
"""Entries of a manifest that are not hashed into its key as they stand."""


def key_of(content: Mapping[str, Any]) -> str | None:
    """The key of what a manifest says; None where it does not say it all, as very early ones."""
    if "changed_settings" not in content:
        return None
    identity = {name: value for name, value in content.items() if name not in BESIDE}
    return digest(identity | {"settings": content["changed_settings"]})[:KEY_LENGTH]


def manifest(
    task: Task, files: Mapping[str, str], facts: Mapping[str, Any], inputs: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The manifest: identity, full settings, inputs, sha256 per file, and machine facts.

    Args:
        task: what was made.
        files: SHA-256 by name.
        facts: about the machine.
        inputs: SHA-256 of what was read of the inputs, by their names, where it is to be compared later.
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
    """The manifest of a finished artifact, an object whose ``files`` are hashes by name.

    Raises:
        ValueError: it has another shape.
        OSError: it cannot be read.
    """
    content = json_files.parse((folder / MANIFEST).read_bytes())
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(isinstance(sha256, str) for sha256 in files.values()):
        raise ValueError("no object with files")
    found: dict[str, Any] = content
    return found


def chain(task: Task) -> Iterator[Task]:
    """The task and all that it is made from, inputs first, each once."""
    seen: set[str] = set()

    def walk(current: Task) -> Iterator[Task]:
        if current.key in seen:
            return
        seen.add(current.key)
        for earlier in current.inputs.values():
            yield from walk(earlier)
        yield current

    yield from walk(task)
