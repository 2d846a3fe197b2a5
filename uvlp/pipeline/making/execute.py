"""The making of one artifact, or of some of its parts, in a worker process."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks.visible import await_inputs
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins, portable
from uvlp.core.hashing import changed_during_read, file_sha256
from uvlp.core.progress import Progress
from uvlp.models.published import find
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.planning.pieces import Divided, Piece

UNRECORDED = ("pixels", "evaluate")
"""Stages whose manifests do not repeat the config of the run: their tables, which list them, have it."""


def execute(
    root: Path,
    job: Task | Piece | Divided,
    progress: Progress,
    gpus: tuple[str, ...] = (),
    *,
    config: Mapping[str, Any] | None = None,
    curves: bool = False,
) -> None:
    """Make one artifact, or some of its parts, in a worker process.

    Args:
        root: of the store.
        job: what to make.
        progress: receives reports.
        gpus: cards reserved for it, as CUDA names them.
        config: the config of its run, for its manifest.
        curves: whether points of curves are reported.

    Raises:
        UvlpError: the input is invalid or the store cannot be written.
    """
    task = job if isinstance(job, Task) else job.task
    progress.curves = curves
    if task.portable:
        portable.begin(torch=task.stage != "tabulate")
    try:
        _compute(root, job, progress, gpus, config)
    except Exception as error:
        progress.failed("".join(traceback.format_exception(error)))
        raise


def _compute(
    root: Path,
    job: Task | Piece | Divided,
    progress: Progress,
    gpus: tuple[str, ...],
    config: Mapping[str, Any] | None,
) -> None:
    """Make one artifact, or some of its parts, on one thread and on the cards that are reserved for it."""
    task = job if isinstance(job, Task) else job.task
    if task.stage == "tabulate":  # needs no torch
        progress.on("CPU")
        _write(root, task, progress, gpus, config)
        return
    machine.single_thread()
    machine.release_gpu()
    progress.on(" ".join((machine.gpu_name() or "CPU", *gpus)))
    try:
        if isinstance(job, Piece):
            _make_piece(root, job, progress, gpus)
        else:
            _write(root, task, progress, gpus, config)
    finally:
        # Memory that an idle worker keeps would be missing for other workers.
        machine.release_gpu()


def _write(
    root: Path,
    task: Task,
    progress: Progress,
    gpus: tuple[str, ...] = (),
    config: Mapping[str, Any] | None = None,
) -> None:
    """Run the task's stage, and store its folder with facts about this machine."""
    store = Store(root)
    began = time.monotonic()
    published = False
    with store.making(task, progress.log) as folder:
        if folder is None:
            return
        _run(
            Work(
                task=task,
                folder=folder,
                store=store,
                progress=progress,
                open_dataset=open_dataset,
                cards=gpus,
            )
        )
        made = _made(time.monotonic() - began, task, gpus)
        if task.stage not in UNRECORDED and config:
            made["recipe"] = dict(config)
        published = store.commit(task, folder, made)
    if not published:
        progress.made_twice(time.monotonic() - began)


def _make_piece(root: Path, piece: Piece, progress: Progress, gpus: tuple[str, ...] = ()) -> None:
    """Run the task's stage for the parts of a piece, unless the artifact exists."""
    store, task = Store(root), piece.task
    with store.making_piece(task, piece.name, progress.log) as needed:
        if needed:
            work = Work(
                task=task,
                folder=store.partial(task),
                store=store,
                progress=progress,
                open_dataset=open_dataset,
                cards=gpus,
                share=piece.share,
            )
            _run(work)


def _run(work: Work) -> None:
    """Run the stage; its published models may not change meanwhile."""
    await_inputs(work.store, work.task, work.progress.log)
    models = _model_fingerprints(work.task, work.store)
    plugins.load("stages", work.task.stage).run(work)
    if _model_fingerprints(work.task, work.store) != models:
        raise changed_during_read(Path(", ".join(work.task.origins.values())))


def _model_fingerprints(task: Task, store: Store) -> list[Any]:
    """Return size and times of a task's published models, which are too large to hash again."""
    hashes = task.facts.get("models", {})
    return [find.marks(task.origins[name], sha256, store.cache) for name, sha256 in hashes.items()]


def _made(seconds: float, task: Task, gpus: tuple[str, ...]) -> dict[str, Any]:
    """Return the machine facts for the manifest."""
    computed = task.stage != "tabulate"
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 2),
        "peak_memory_mb": machine.peak_memory_mb(),
        "host": platform.node(),
        "gpu": machine.gpu_name() if computed else None,
        "gpus": len(gpus),
        "gpu_peak_memory_mb": machine.gpu_peak_memory_mb() if computed else None,
        "driver": machine.driver_version(),
        # The snapshot folder of a hub repository is named by its commit.
        "origins": dict(task.origins),
        "sources": {role: file_sha256(Path(path)) for role, path in task.sources.items()},
        "dataset": task.dataset_spec.location if task.dataset_spec else "",
        "threads": 1,
        "versions": machine.versions(),
    }
