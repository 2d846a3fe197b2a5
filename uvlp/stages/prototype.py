"""prototype: features, and captions if the method reads them -> latents and texts per class.

They are made in parts of some classes, which several jobs can share and which survive an interrupted run, if
the method treats classes independently; else in one part.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from uvlp.artifacts import captions, features, prototypes
from uvlp.artifacts.dataset import Dataset
from uvlp.artifacts.parts.parts import Parts, Plan
from uvlp.artifacts.work import Work
from uvlp.declarations.method import MethodDeclaration, declared_method, order_of

if TYPE_CHECKING:
    import numpy

    from uvlp.methods.algorithms.method_input import ClassResult, MethodInput

PART = 10
"""Classes of a part."""


def run(work: Work) -> None:
    """Write `prototypes` with the task's method, one class at a time if it yields them so, or a share."""
    method = declared_method(work.task.facts["method"])
    dataset = work.dataset()
    count = len(dataset.manifest.classes)
    size = PART if method.per_class else count
    parts = work.parts()
    plan = parts.begin(Plan(items=count, batch=1, size=size, device="cpu", dtype="float32"))
    missing = work.missing(parts, plan, "classes")
    if missing:
        inputs = _inputs(work, method, dataset)
        _make(work, method, inputs, parts, plan, missing)
    if work.share.publishes:
        prototypes.join([parts.folder(part.start) for part in plan.parts(work.share)], work.folder)
        work.note(dict(parts.counts()))


def _make(
    work: Work,
    method: MethodDeclaration,
    inputs: MethodInput,
    parts: Parts,
    plan: Plan,
    missing: Sequence[range],
) -> None:
    from uvlp.methods.algorithms.method_input import Some
    from uvlp.methods.algorithms.returned import check_results

    inputs = replace(inputs, classes=Some(inputs.classes, list(itertools.chain.from_iterable(missing))))
    assert method.prototypes is not None, method.origin.file
    returned = method.prototypes(inputs, work.task.settings, work.progress)
    results = check_results(returned, inputs, method.origin.file)
    for part in missing:
        with parts.making(part, plan) as unfinished:
            of_part = _noted(itertools.islice(results, len(part)), unfinished.counts)
            prototypes.write(unfinished.folder, len(part) * inputs.ipc, of_part)
    next(results, None)  # reports the end, and more results than classes


def _noted(
    results: Iterator[ClassResult], counts: Counter[str]
) -> Iterator[tuple[numpy.ndarray, list[prototypes.Prototype]]]:
    for result in results:
        counts.update(result.notes)
        yield result.latents, result.prototypes


def _inputs(work: Work, method: MethodDeclaration, dataset: Dataset) -> MethodInput:
    """Return the method's input with all classes."""
    from uvlp.methods.algorithms.method_input import build

    task = work.task
    arrays = features.read({part: work.input(part) for part in features.PARTS if part in task.inputs})
    if "captions" in task.inputs:
        stored = captions.read(work.input("captions"))
        texts, prompts = stored.texts, stored.prompts
    else:
        texts, prompts = (), captions.class_lines(dataset.manifest.classes)
    return build(
        dataset,
        task.facts["ipc"],
        task.facts["seed"],
        arrays,
        texts,
        prompts,
        order=order_of(task.settings),
        file=method.origin.file,
    )
