"""A store with tables and their scores, built by the stage without any training."""

from collections.abc import Sequence
from pathlib import Path

import numpy

from uvlp.artifacts import scores, tables
from uvlp.artifacts.scores import Score
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core.progress import Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.stages import tabulate

IMAGES = 50


def score(number: int, images: int = IMAGES, validation_set: str = "digits") -> Score:
    """Return a score that depends on ``number``."""
    right = [numpy.random.default_rng([number, late]).random(images) < 0.7 for late in (0, 1)]
    right.sort(key=numpy.count_nonzero, reverse=True)
    best, last = (100 * int(each.sum()) / images for each in right)
    return Score(
        best_pct=best,
        best_epoch=1,
        last_pct=last,
        top5_best_pct=None,
        top5_last_pct=None,
        curve=((1, best), (2, last)),
        correct_best=numpy.packbits(right[0]).tobytes().hex(),
        correct_last=numpy.packbits(right[1]).tobytes().hex(),
        validation_set=validation_set,
        validation_images=images,
        train_images=10,
        parameters=1,
    )


def put(store: Store, task: Task, number: int) -> Path:
    """Build the score ``number``, or the table, of ``task``."""
    with store.making(task, print) as folder:
        assert folder is not None
        if task.kind == scores.KIND:
            scores.write(folder, score(number))
        else:
            tabulate.run(
                Work(task=task, folder=folder, store=store, progress=Progress(), open_dataset=open_dataset)
            )
        store.commit(task, folder, {"at": "2026-01-01T00:00:00Z"})
    return store.folder(task)


def put_table(
    root: Path,
    name: str = "digits-ipc10",
    methods: Sequence[str] = ("random", "uvlp"),
    profile: str = "tiny",
    network: str = "convnet-3",
    repeats: int = 2,
) -> tuple[Path, list[Path]]:
    """A table of a few repeats of each method; its folder, and those of its scores."""
    store = Store(root)
    store.prepare()
    inputs: dict[str, Task] = {}
    cells, folders = [], []
    for method in methods:
        made = {}
        for repeat in range(1, repeats + 1):
            images = Task(kind="distilled", stage="synthesise", facts={"method": method, "seed": 0})
            facts = {"network": network, "seed": 0, "repeat": repeat, "method": method, "in": profile}
            task = Task(kind=scores.KIND, stage="evaluate", facts=facts, inputs={"distilled": images})
            if not store.has(task):
                put(store, task, len(method) * 10 + repeat)
            folders.append(store.folder(task))
            made[f"{method} {network} seed 0 repeat {repeat}"] = task
        inputs |= made
        cells.append({"method": method, "title": method, "network": network, "scores": list(made)})
    caption = f"caption of {name}, profile {profile}"
    facts = {"name": name, "caption": caption, "cells": cells, "notes": []}
    task = Task(kind=tables.KIND, stage="tabulate", schema=tables.SCHEMA, facts=facts, inputs=inputs)
    return put(store, task, 0), folders
