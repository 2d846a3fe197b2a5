"""evaluate: one training of one network on a distilled set -> one score on the real test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvlp.artifacts import distilled, scores
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins
from uvlp.core.seeds import derive

if TYPE_CHECKING:
    from uvlp.blocks.image_sets import Images


def run(work: Work) -> None:
    """Write `scores` with the protocol named by the task."""
    facts, dataset = work.task.facts, work.dataset()
    evaluator = plugins.load("evaluators", work.task.plugin)
    score = evaluator.evaluate(
        _training_images(work, dataset),
        _validation_images(dataset),
        network=facts["network"],
        classes=len(dataset.manifest.classes),
        ipc=facts.get("ipc", 0),
        settings=work.task.settings,
        seed=derive(facts["seed"], "evaluate", facts["network"], facts["repeat"]),
        progress=work.progress,
        full="ipc" not in facts,
        device=machine.device(),
    )
    scores.write(work.folder, score)


def _training_images(work: Work, dataset: Any) -> Images:
    import numpy

    from uvlp.blocks.image_sets import Images

    folder = work.input("distilled")
    entries = distilled.read_entries(folder)
    if entries[0].file_name:
        pixels = [distilled.read_image(folder, entry) for entry in entries]
    else:
        row_of = {name: row for row, name in enumerate(dataset.files("train"))}
        pixels = dataset.originals("train", [row_of[entry.source] for entry in entries])
    return Images(pixels=pixels, labels=numpy.asarray([entry.label for entry in entries]))


def _validation_images(dataset: Any) -> Images:
    import numpy

    from uvlp.blocks.image_sets import Images

    labels = dataset.labels("val")
    return Images(pixels=dataset.originals("val", range(len(labels))), labels=numpy.asarray(labels))
