"""A calm store with every kind of artifact, made without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

from tests.stored_tables import score
from uvlp.artifacts import (
    captions,
    features,
    prototypes,
    scores,
    teachers,
    weights,
)
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.artifacts.work import Work
from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.pipeline import names
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request
from uvlp.stages import evaluate, pixels as pixels_stage, synthesise, tabulate  # noqa: F401

STAGES = {"pixels": pixels_stage, "synthesise": synthesise, "tabulate": tabulate}
OTHERS = {
    captions.KIND: "caption",
    weights.KIND: "finetune",
    features.KIND: "embed",
    prototypes.KIND: "prototype",
    teachers.KIND: "teacher",
}
MADE = {"at": "2026-01-01T00:00:00Z", "host": "here", "gpu": None, "dataset": "digits"}


def fill(
    root: Path,
    *,
    ipc: int = 2,
    profile: str = "tiny",
    seeds: tuple[str, ...] = ("0", "1"),
    portable: bool = False,
) -> None:
    """Random images and the whole set of the digits, random answers, their table, one of each other kind."""
    store = Store(root)
    store.prepare()
    request = Request(
        dataset="digits",
        ipc=ipc,
        methods=["full", "random"],
        profile=profile,
        seeds=[*seeds],
        repeats=2,
        portable=portable,
    )
    plan = prepare(names.check(resolve(request)), store, "tabulate")
    for number, task in enumerate(chain(plan.goal)):
        _make(store, task, number, plan.manifest.count("val"))
    for kind, stage in OTHERS.items():
        _make(store, Task(kind=kind, stage=stage, schema=SCHEMAS[kind], dataset=plan.goal.dataset), 0, 0)


SCHEMAS = {kind.KIND: kind.SCHEMA for kind in (captions, weights, features, prototypes, teachers)}


def _make(store: Store, task: Task, number: int, images: int) -> None:
    with store.making(task, print) as folder:
        assert folder is not None
        if task.kind == scores.KIND:
            size = 1307 if task.whole_set else 10 * task.facts["ipc"]
            answers = score(number, images, "digits, 10 classes")
            scores.write(
                folder, replace(answers, top5_best_pct=100.0, top5_last_pct=100.0, train_images=size)
            )
        elif task.stage in STAGES:
            STAGES[task.stage].run(
                Work(task=task, folder=folder, store=store, progress=Progress(), open_dataset=open_dataset)
            )
        else:
            _write_other(folder, task.kind)
        store.commit(task, folder, MADE | {"versions": machine.versions()})


def _write_other(folder: Path, kind: str) -> None:
    if kind == captions.KIND:
        captions.write(folder, [("train/0/0001.png", "a zero")], {"0": "zero"})
    elif kind in (weights.KIND, teachers.KIND):
        save_file({"weight": torch.ones(2)}, folder / teachers.WEIGHTS)
        (folder / teachers.FACTS).write_text("{}\n", encoding="utf-8")
    else:
        numpy.save(folder / "latents.npy", numpy.ones((2, 4), dtype=numpy.float32))
        (folder / "prototypes.jsonl").write_text("{}\n", encoding="utf-8")
