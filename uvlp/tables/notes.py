"""Sentences below a table that explain its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from uvlp.artifacts.tables import MEANINGLESS, Cell, Comparison, Summary, Table

BEST_AND_LAST = "best: highest of "
DEVICES = "computed on several types of devices, which round differently: "
COMPUTED = (
    *("caption", "finetune", "embed", "represent", "optimise", "sample", "synthesise"),
    *("teacher", "evaluate"),
)
"""Stages whose results depend on the device."""
WORDS = {"distilled": "images", "weights": "models"}
"""Kinds of artifacts that are called otherwise in a sentence."""
SAME_IMAGES = ": the same images in every seed"
COUNTED = re.compile(r"(?P<method>.*?: )(?P<count>\d+)(?P<what> .*)")
"""A note with the count of something behind a method, as `stages/tabulate.py` writes it."""


def means_nothing(notes: Iterable[str]) -> bool:
    """Return whether a note says that the numbers of a table mean nothing: no verdict is printed."""
    return any(MEANINGLESS in note for note in notes)


def merged(notes: Iterable[str]) -> list[str]:
    """Return the notes with those that differ in the count alone, one per set of images, in one line."""
    counts: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        found = COUNTED.fullmatch(note)
        parts = (found["method"], found["what"]) if found else (note, "")
        counts.setdefault(parts, []).extend([found["count"]] if found else [])
    return [before + _listed(each) + after for (before, after), each in counts.items()]


def _listed(values: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(values[:-1]), *values[-1:])))


def on_means(cells: Sequence[Cell], passes: int) -> Iterator[str]:
    """Yield explanations of means, intervals, best and last, and the test images."""
    yield f"mean ± sample standard deviation (ddof {cells[0].best.ddof}) of {_trainings(cells)}, percent"
    bases = {cell.best.basis for cell in cells}
    if "seeds" in bases:
        yield (
            "95 % interval: Student's t over the means of the seeds, because trainings of one seed share "
            "their distilled images; for these test images"
        )
    if "repeats" in bases:
        yield (
            "95 % interval: Student's t over the repeats of one seed, so the noise of training alone, not "
            "of distilling again; for these test images"
        )
    yield (
        f"{BEST_AND_LAST}{passes} validation passes, so selected on the test images, as published; "
        "last: after the last epoch"
    )
    yield from _on_test_images(cells)


def _trainings(cells: Sequence[Cell]) -> str:
    shapes = {(len(set(cell.seeds)), len(cell.seeds)) for cell in cells}
    seeds, trainings = next(iter(shapes))
    if len(shapes) > 1:
        counts = sorted(count for _, count in shapes)
        return f"{counts[0]} to {counts[-1]} trainings"
    if trainings == 1:
        return "one training, which has no deviation and no interval"
    if trainings % seeds:
        return f"{trainings} trainings ({_count(seeds, 'seed')})"
    return f"{trainings} trainings ({_count(seeds, 'seed')} × {_count(trainings // seeds, 'repeat')})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _on_test_images(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield, per validation set, the error of the mean nearest to 50 %, which is the largest."""
    sets: dict[tuple[str, int], list[Summary]] = {}
    for cell in cells:
        sets.setdefault((cell.validation_set, cell.validation_images), []).append(cell.best)
    for (name, images), means in sets.items():
        worst = max(means, key=lambda mean: mean.binomial_error_points)
        yield (
            f"scored on {images} validation images of {name}: binomial standard error "
            f"{worst.binomial_error_points:.1f} points at {worst.mean_pct:.1f} % "
            f"(95 % Wilson interval {worst.wilson_low_pct:.1f} to {worst.wilson_high_pct:.1f})"
        )


def on_soft_labels(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield what the size of soft labels counts, if any method was scored with them."""
    if any(cell.soft_label_mb is not None for cell in cells):
        yield (
            "soft labels: every class of every training image in every epoch in float16, as FKD stores them; "
            "here the teacher computes them during the training"
        )


def on_devices(made: Iterable[tuple[str, str, Mapping[str, object]]]) -> Iterator[str]:
    """Yield the devices of what is behind a table, if there are several types.

    Args:
        made: kind, stage and ``made`` of the manifest of each artifact; early ones do not name a device.
    """
    by_device: dict[str, dict[str, None]] = {}
    for kind, stage, facts in made:
        if stage in COMPUTED and "gpu" in facts:
            by_device.setdefault(str(facts["gpu"] or "CPU"), {})[WORDS.get(kind, kind)] = None
    if len(by_device) > 1:
        devices = "; ".join(
            f"{name}: {', '.join(sorted(kinds))}" for name, kinds in sorted(by_device.items())
        )
        yield f"{DEVICES}{devices}"


def on_same_images(titles: Sequence[str]) -> Iterator[str]:
    """Yield the methods whose seeds affect only the training: external folders, the full set."""
    if titles:
        yield (
            f"{', '.join(titles)}{SAME_IMAGES}, so the interval and the deviation hold the "
            "noise of training alone"
        )


def on_comparisons(
    comparisons: Sequence[Comparison], ablations: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield explanations of the differences and verdicts; ``ablations``: of the table, by method."""
    if not comparisons:
        return
    covered = "" if all(one.basis == "images" for one in comparisons) else "other trainings and "
    yield (
        "difference: trainings of equal seed, repeat and network, image by image; its interval covers "
        f"{covered}other test images (analysis of variance of Dorfman, Berbaum and Metz 1992)"
    )
    if any(one.basis == "seeds" for one in comparisons):
        yield "one difference per seed enters, the mean of its repeats"
    if any(one.basis == "images" for one in comparisons):
        yield (
            "one pair of trainings: interval, p and verdict are about these two trained networks alone, "
            "the noise of training is unknown"
        )
    if ablations:
        tests, of_what = len({(one.reference, one.network) for one in comparisons}), "rows"
        verdicts = "a part helps or hurts"
    else:
        tests, of_what = len({one.method for one in comparisons}), "methods of a column"
        verdicts = "better or worse"
    correction = (
        f"p is corrected for the {tests} {of_what} (Holm 1979), each interval is that of its difference "
        "alone; "
        if tests > 1
        else ""
    )
    yield f"{correction}{verdicts} where p is below 0.05, else cannot tell"


def remarks(table: Table) -> list[str]:
    """The notes that are about this run; those that explain how any table is computed are left out."""
    explained = {
        *on_means(table.cells, 0),
        *on_soft_labels(table.cells),
        *on_comparisons(table.comparisons, table.ablations),
    }
    return [
        note
        for note in merged(table.notes)
        if note not in explained and not note.startswith(BEST_AND_LAST) and SAME_IMAGES not in note
    ]
