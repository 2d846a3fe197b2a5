"""A finished run whose artifacts are drawn, not computed: every kind, as planned, in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from tests.stored_tables import score
from uvlp.artifacts import captions, distilled, features, prototypes, scores
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.prototypes import Prototype
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.artifacts.work import Work
from uvlp.core.progress import Progress
from uvlp.pipeline import names
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request
from uvlp.stages import pixels, tabulate

WIDTH, LATENT = 16, (4, 4, 4)
METHODS = ("random", "vlcp", "uvlp")
SIDE_PX = 16
STAGES = {"pixels": pixels, "tabulate": tabulate}


def fill(
    root: Path,
    dataset: str = "digits",
    *,
    ipc: int = 3,
    methods: Sequence[str] = METHODS,
    profile: str = "tiny",
    until: str = "tabulate",
    side_px: int = SIDE_PX,
) -> list[Task]:
    """Fill a store with the artifacts of one run; return its tasks, the table last."""
    store = Store(root)
    store.prepare()
    request = Request(dataset=dataset, ipc=ipc, methods=[*methods], profile=profile, repeats=2)
    plan = prepare(names.check(resolve(request)), store, until)
    tasks = list(chain(plan.goal))
    for number, task in enumerate(tasks):
        if not store.has(task):
            _make(store, task, number, plan.manifest, side_px)
    return tasks


def _make(store: Store, task: Task, number: int, manifest: DatasetManifest, side_px: int) -> None:
    generator = numpy.random.default_rng(number)
    with store.making(task, print) as folder:
        assert folder is not None
        if task.stage in STAGES:
            work = Work(task=task, folder=folder, store=store, progress=Progress(), open_dataset=open_dataset)
            STAGES[task.stage].run(work)
        elif task.kind == scores.KIND:
            name = f"{manifest.name}, {len(manifest.classes)} classes"
            scores.write(folder, score(number, manifest.count("val"), name))
        elif task.kind == captions.KIND:
            files = [f"train/{info.id}/{row}.png" for info in manifest.classes for row in range(info.train)]
            rows = [(file, f"caption of {file}") for file in files]
            captions.write(folder, rows, captions.class_lines(manifest.classes))
        elif task.kind == features.KIND:
            _write_features(folder, task, manifest, generator)
        elif task.kind == prototypes.KIND:
            _write_prototypes(folder, task, manifest, generator)
        elif task.kind == distilled.KIND:
            _write_images(store, folder, task, manifest, generator, side_px)
        else:
            (folder / "model.safetensors").write_bytes(b"weights")
        made: dict[str, Any] = {
            "at": f"2026-01-01T00:00:{number % 60:02d}Z",
            "host": "here",
            "gpu": None,
            "seconds": number,
        }
        made |= {"peak_memory_mb": 100 + number, "versions": {"uvlp": "0.1.0"}}
        spec = task.dataset_spec
        store.commit(task, folder, made | {"dataset": spec.location if spec else ""})


def _unit(generator: numpy.random.Generator, count: int, centres: numpy.ndarray) -> numpy.ndarray:
    rows = centres + 0.5 * generator.normal(size=(count, WIDTH))
    unit: numpy.ndarray = (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).astype(numpy.float32)
    return unit


def _write_features(
    folder: Path, task: Task, manifest: DatasetManifest, generator: numpy.random.Generator
) -> None:
    count, classes = manifest.count("train"), len(manifest.classes)
    labels = numpy.repeat(numpy.arange(classes), [info.train for info in manifest.classes])
    centres = numpy.random.default_rng(0).normal(size=(classes, WIDTH))
    if task.plugin == "texts":
        arrays = {
            "text": _unit(generator, count, centres[labels]),
            "names": _unit(generator, classes, centres),
        }
    else:
        moments = {
            name: generator.normal(size=(count, *LATENT)).astype(numpy.float32)
            for name in ("mean", "deviation")
        }
        arrays = {"image": _unit(generator, count, centres[labels]), **moments}
    features.write(folder, arrays)


def _write_prototypes(
    folder: Path, task: Task, manifest: DatasetManifest, generator: numpy.random.Generator
) -> None:
    ipc, start = task.facts["ipc"], 0
    described = []
    for info in manifest.classes:
        for slot, members in enumerate(numpy.array_split(numpy.arange(start, start + info.train), ipc)):
            rows = tuple(int(row) for row in members)
            details = {
                "uvlp": {
                    "global_alpha": 0.4,
                    "class_alpha": 0.5,
                    "cluster_alpha": float(generator.uniform(0.2, 0.8)),
                    "hub_scores": [round(float(value), 6) for value in generator.random(len(rows))],
                },
                "vlcp": {"score": slot, "words": []},
            }.get(task.facts["method"], {})
            described.append(
                Prototype(
                    class_id=info.id,
                    slot=slot,
                    text=f"an image <b>of</b> {info.name}",
                    members=rows,
                    latent_members=rows[:2],
                    details=details,
                )
            )
        start += info.train
    latents = generator.normal(size=(len(described), *LATENT))
    prototypes.write(folder, len(described), [(latents, described)])


def _write_images(
    store: Store,
    folder: Path,
    task: Task,
    manifest: DatasetManifest,
    generator: numpy.random.Generator,
    side_px: int,
) -> None:
    """Images of a real class each for a method that selects; else noise, as from its prototypes."""
    if "prototypes" in task.inputs:
        described = prototypes.read(store.folder(task.inputs["prototypes"]))[1]
        infos = {info.id: info for info in manifest.classes}
        entries = [
            Entry(
                file_name=f"{each.class_id}/{each.slot:05d}.png",
                label=infos[each.class_id].index,
                class_id=each.class_id,
                class_name=infos[each.class_id].name,
                text=each.text,
            )
            for each in described
        ]
    else:
        assert task.dataset_spec is not None
        dataset = open_dataset(task.dataset_spec, store.cache, Progress())
        files, labels = dataset.files("train"), dataset.labels("train")
        entries = [
            Entry(
                file_name=f"{info.id}/{slot:05d}.png",
                label=info.index,
                class_id=info.id,
                class_name=info.name,
                source=files[labels.index(info.index) + slot],
            )
            for info in manifest.classes
            for slot in range(task.facts["ipc"])
        ]
    images = [
        generator.integers(0, 256, (side_px, side_px, 3), dtype=numpy.uint8) for _ in range(len(entries))
    ]
    distilled.write(folder, entries, images, [images[row] for row in distilled.sheet_rows(entries)])
