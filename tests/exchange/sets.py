"""A store with distilled sets, their scores and a table, made by the stages without any training."""

from __future__ import annotations

from pathlib import Path

import numpy

from tests.stored_tables import score
from uvlp.artifacts import distilled, scores
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, remember
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.names import default_recipe
from uvlp.recipes import profiles
from uvlp.recipes.schema import Recipe

HASH = "ab" * 32
IDS = ("ant", "bee", "cow")
MADE = {
    "at": "2026-01-01T00:00:00Z",
    "host": "somebody's",
    "versions": {"uvlp": "0.1.0"},
    "origins": {"a": "/b"},
}


def recipe(profile: str = "tiny", ipc: int = 2) -> Recipe:
    """The recipe of an image folder in a profile."""
    return profiles.apply(default_recipe("folder", ipc), profile)


def record(store: Store, ids: tuple[str, ...] = IDS, name: str = "folder") -> None:
    """Record a dataset with these classes, in this order."""
    infos = tuple(
        ClassInfo(id=each, name=f"the {each}", index=index, train=9, val=9) for index, each in enumerate(ids)
    )
    manifest = DatasetManifest(
        name=name,
        argument="",
        variant="",
        classes=infos,
        content_hash=HASH,
        image_px=8,
        source="a folder of image files",
    )
    remember(store.cache / f"{name}-{HASH[:16]}.json", manifest)


def put_set(
    root: Path, method: str = "uvlp", seed: int = 0, ids: tuple[str, ...] = IDS, ipc: int = 2
) -> tuple[Store, Task]:
    """A distilled set of random images; texts where the method is ``uvlp``, sources where it is not."""
    store = Store(root)
    store.prepare()
    record(store, ids)
    facts = {"method": method, "ipc": ipc, "seed": seed}
    title = f"{method} images, seed {seed}"
    task = Task(kind="distilled", stage="synthesise", plugin=method, facts=facts, dataset=HASH, title=title)
    entries = [
        Entry(
            file_name=f"{name}/{slot:05d}.png",
            label=label,
            class_id=name,
            class_name=f"the {name}",
            text=f"a {name}, number {slot}" if method == "uvlp" else "",
            source="" if method == "uvlp" else f"{name}/{slot}.png",
        )
        for label, name in enumerate(ids)
        for slot in range(ipc)
    ]
    generator = numpy.random.default_rng(seed)
    images = [generator.integers(0, 256, (8, 8, 3), dtype=numpy.uint8) for _ in entries]
    with store.making(task, print) as folder:
        assert folder is not None
        distilled.write(folder, entries, images, images)
        store.commit(task, folder, MADE)
    return store, task


def put_score(
    store: Store,
    images: Task,
    repeat: int,
    *,
    used: Recipe | None = None,
    protocol: str = "minimax",
    network: str = "convnet-3",
    teacher: Task | None = None,
    revision: int = 0,
) -> str:
    """A score of the images with the settings of a recipe; its name."""
    declared = declared_protocol(protocol)
    inputs = {"distilled": images} | ({"teacher": teacher} if teacher else {})
    task = Task(
        kind=scores.KIND,
        stage="evaluate",
        plugin=protocol,
        revision=revision or declared.revision,
        schema=scores.SCHEMA,
        settings=declared.settings_in(used or recipe()),
        facts={
            "network": network,
            "seed": images.facts["seed"],
            "repeat": repeat,
            "ipc": images.facts["ipc"],
        },
        inputs=inputs,
        dataset=HASH,
    )
    with store.making(task, print) as folder:
        assert folder is not None
        scores.write(folder, score(repeat))
        store.commit(task, folder, MADE)
    return task.name
