"""evaluate: train one network on distilled images once -> its score on the real test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from uvlp.artifacts import distilled, scores
from uvlp.artifacts.work import Work
from uvlp.core import machine
from uvlp.core.seeds import derive
from uvlp.declarations.protocol import declared_protocol

if TYPE_CHECKING:
    import numpy

    from uvlp.protocols.training.images import Images


def run(work: Work) -> None:
    """Write `scores` with the task's protocol."""
    from uvlp.protocols.training.images import stored

    facts, dataset = work.task.facts, work.dataset()
    protocol = declared_protocol(work.task.plugin)
    validation = stored(work.input("validation"))
    score = protocol.evaluate(
        _training_images(work, dataset),
        validation,
        network=facts["network"],
        classes=len(dataset.manifest.classes),
        ipc=facts.get("ipc", 0),
        settings=work.task.settings,
        seed=derive(facts["seed"], "evaluate", facts["network"], facts["repeat"]),
        progress=work.progress,
        full=work.task.whole_set,
        device=machine.device(),
        teacher=work.input("teacher") if protocol.teacher else None,
    )
    scores.write(work.folder, scores.check(score, protocol.origin.file, len(validation.labels)))


def _training_images(work: Work, dataset: Any) -> Images:
    """The distilled images, read lazily."""
    import numpy

    from uvlp.protocols.training.images import Images, LazyPixels, SoftLabels

    folder = work.input("distilled")
    entries = distilled.read_entries(folder)
    row_of = {} if entries[0].file_name else {name: row for row, name in enumerate(dataset.files("train"))}

    def read(positions: Sequence[int]) -> list[numpy.ndarray]:
        if row_of:
            return list(dataset.originals("train", [row_of[entries[row].source] for row in positions]))
        if floats:
            return distilled.read_floats(folder, [entries[row] for row in positions])
        return [distilled.read_image(folder, entries[row]) for row in positions]

    floats, soft = bool(distilled.tensor_names(folder)), distilled.soft_labels(folder)
    return Images(
        pixels=LazyPixels(read, len(entries)),
        labels=numpy.asarray([entry.label for entry in entries]),
        floats=floats,
        soft=None if soft is None else SoftLabels(*soft),
    )
