"""prototype: features, and captions if the method reads them -> latents and texts per class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from uvlp.artifacts import captions, features, prototypes
from uvlp.artifacts.work import Work
from uvlp.declarations.method import declared_method, order_of

if TYPE_CHECKING:
    import numpy


def run(work: Work) -> None:
    """Write `prototypes` with the task's method, one class at a time if the method yields them so."""
    from uvlp.methods.algorithms.method_input import build
    from uvlp.methods.algorithms.returned import check_results

    task, dataset = work.task, work.dataset()
    method = declared_method(task.facts["method"])
    arrays = features.read({part: work.input(part) for part in features.PARTS if part in task.inputs})
    if "captions" in task.inputs:
        stored = captions.read(work.input("captions"))
        texts, prompts = stored.texts, stored.prompts
    else:
        texts, prompts = (), captions.class_lines(dataset.manifest.classes)
    inputs = build(
        dataset,
        task.facts["ipc"],
        task.facts["seed"],
        arrays,
        texts,
        prompts,
        order=order_of(task.settings),
        file=method.origin.file,
    )
    assert method.prototypes is not None, method.origin.file
    returned = method.prototypes(inputs, task.settings, work.progress)
    totals: Counter[str] = Counter()

    def results() -> Iterator[tuple[numpy.ndarray, list[prototypes.Prototype]]]:
        for result in check_results(returned, inputs, method.origin.file):
            totals.update(result.notes)
            yield result.latents, result.prototypes

    prototypes.write(work.folder, len(inputs.classes) * inputs.ipc, results())
    work.note(dict(totals))
