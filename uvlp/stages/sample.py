"""sample: a method makes one batch of images after the other -> `distilled`."""

from __future__ import annotations

from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import made_entries
from uvlp.artifacts.parts.growing_images import GrowingImages
from uvlp.artifacts.work import Work
from uvlp.declarations.method import declared_method


def run(work: Work) -> None:
    """Write `distilled` with the task's method; finished batches survive an interruption.

    Raises:
        UvlpError: the method returns other images than those that are missing, or one of one colour.
    """
    from uvlp.methods.algorithms.computing_input import computing_input
    from uvlp.methods.algorithms.returned import check_all, check_batch

    method = declared_method(work.task.facts["method"])
    assert method.sample is not None, method.origin.file
    inputs = computing_input(work, method.origin.file)
    entries = made_entries(work.dataset().manifest.classes, inputs.ipc)
    grown = GrowingImages(work.partial, work.progress.log)
    if grown.state.done < len(entries):
        made: set[int] = set()
        for returned in method.sample(inputs, work.task.settings, work.progress, grown.state.done):
            rows, images = check_batch(returned, made, len(entries), method.origin.file)
            made.update(rows)
            batch = [entries[row] for row in rows]
            distilled.check(batch, images)
            grown.add(batch, images)
            work.progress.at(grown.state.done, len(entries), "images")
        check_all(grown.state.done, len(entries), method.origin.file)
    grown.finish(work.folder, entries)
    sheet = (distilled.read_image(work.folder, entries[row]) for row in distilled.sheet_rows(entries))
    distilled.finish(work.folder, entries, sheet)
