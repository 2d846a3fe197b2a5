"""The input of a method that computes images with networks, from its task."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts import features
from uvlp.artifacts.work import Work
from uvlp.core import machine
from uvlp.methods.algorithms.method_input import MethodInput, build


def computing_input(work: Work, file: str) -> MethodInput:
    """Return the input with the device, the side of the images and the folders of all models.

    Args:
        work: of stage `optimise` or `sample`.
        file: of the method, for errors.
    """
    task = work.task
    dataset = work.dataset()
    parts = [part for part in features.PARTS if part in task.inputs]
    return build(
        dataset,
        task.facts["ipc"],
        task.facts["seed"],
        features.read({part: work.input(part) for part in parts}),
        file=file,
        size_px=task.facts["size_px"],
        flip=task.facts["flip"],
        device=machine.device(),
        labels=task.facts.get("labels") or range(len(dataset.manifest.classes)),
        models={
            name: Path(work.model_path(name)) for name in (*task.inputs, *task.origins) if name not in parts
        },
    )
