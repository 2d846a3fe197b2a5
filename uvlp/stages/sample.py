"""sample: a method makes one batch of images after the other -> `distilled`."""

from __future__ import annotations

from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import made_entries
from uvlp.artifacts.parts import images as part_images
from uvlp.artifacts.parts.parts import Plan
from uvlp.artifacts.work import Work
from uvlp.declarations.method import declared_method


def run(work: Work) -> None:
    """Write `distilled` with the task's method; each batch is a part that survives an interruption.

    Raises:
        UvlpError: the method returns other images than those that are missing, or one of one colour.
    """
    from uvlp.methods.algorithms.computing_input import computing_input
    from uvlp.methods.algorithms.returned import check_all, check_batch
    from uvlp.models.device import device_and_dtype

    method = declared_method(work.task.facts["method"])
    assert method.sample is not None, method.origin.file
    inputs = computing_input(work, method.origin.file)
    entries = made_entries(work.dataset().manifest.classes, inputs.ipc)
    device, dtype = device_and_dtype("float32")
    parts = work.parts()
    plan = parts.begin(Plan(items=len(entries), batch=0, size=0, device=device, dtype=dtype))
    rows_made: set[int] = set()
    while (done := sum(map(len, parts.leading(plan)))) < len(entries):
        for returned in method.sample(inputs, work.task.settings, work.progress, done):
            rows, images = check_batch(returned, rows_made, len(entries), method.origin.file)
            if not rows:
                continue
            rows_made.update(rows)
            batch = [entries[row] for row in rows]
            distilled.check(batch, images)
            with parts.making(range(done, done + len(rows)), plan) as unfinished:
                part_images.write(unfinished.folder, batch, images)
            done += len(rows)
            work.progress.at(done, len(entries), "images")
            if parts.has(done, plan):
                break  # a damaged part was made again, and what follows it is there
        else:
            check_all(done, len(entries), method.origin.file)
    part_images.publish([parts.folder(part.start) for part in parts.leading(plan)], work.folder)
    sheet = (distilled.read_image(work.folder, entries[row]) for row in distilled.sheet_rows(entries))
    distilled.finish(work.folder, entries, sheet)
