"""Trainings of a table: whose they are, their seeds and repeats, how many, and that none is a copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from uvlp.artifacts import distilled
from uvlp.artifacts.scores import FILE, Score
from uvlp.artifacts.task import MANIFEST
from uvlp.pipeline.verification.contents import Artifact, CellFacts, Contents, Measured, ScoreFacts, measured
from uvlp.pipeline.verification.report import Check, counted

CHANCE = 0.001
"""Below this probability two trainings with the same answers are one that was copied."""


def _cells(
    contents: Contents,
) -> Iterator[tuple[Measured, CellFacts, list[tuple[str, Artifact, ScoreFacts]]]]:
    """Every cell of every table with its scores that are here."""
    for table in measured(contents):
        for cell in table.facts.cells:
            found = []
            for name, score in zip(cell.scores, table.names(cell), strict=True):
                one = contents.artifacts.get(score)
                if one is not None and isinstance(one.facts, ScoreFacts):
                    found.append((name, one, one.facts))
            yield table, cell, found


def check_names(contents: Contents) -> Check:
    """A score is of the method and network of its cell, on images that this method made."""
    check = Check(
        name="names",
        one="{} score has the method and network of its cell",
        many="{} scores have the methods and networks of their cells",
    )
    for table, cell, found in _cells(contents):
        for name, one, facts in found:
            assert one.manifest is not None
            check.checked += 1
            file = f"{one.name}/{MANIFEST}"
            check.compare(file, f"network in {table.artifact.name}", facts.network, cell.network)
            end = f" scored by {facts.network}, seed {facts.seed}, repeat {facts.repeat}"
            if not one.manifest.title.endswith(end):
                check.fail(file, "title", one.manifest.title, f"...{end}")
            expected = f"{cell.method} {cell.network} seed {facts.seed} repeat {facts.repeat}"
            check.compare(f"{table.artifact.name}/{MANIFEST}", "name of a training", name, expected)
            images = contents.usable(one.manifest.inputs.get("distilled", ""))
            if images and images.manifest and images.manifest.stage != "collect":
                method = cell.method.partition(":")[0].replace("_", "-")
                check.compare(f"{images.name}/{MANIFEST}", "method", images.manifest.plugin, method)
    return check


def check_seeds(contents: Contents) -> Check:
    """Every training has a seed and repeat that no other of its cell has, and images of that seed."""
    check = Check(
        name="seeds",
        one="{} training has a seed and repeat of its own, and images of that seed",
        many="{} trainings have their own seed and repeat, and images of that seed",
    )
    for table, cell, found in _cells(contents):
        pairs = Counter((facts.seed, facts.repeat) for _, _, facts in found)
        for _, one, facts in found:
            assert one.manifest is not None
            check.checked += 1
            if pairs[facts.seed, facts.repeat] > 1:
                what = f"seed and repeat of two trainings of {cell.method} in {table.artifact.name}"
                check.fail(f"{one.name}/{MANIFEST}", what, f"seed {facts.seed}, repeat {facts.repeat}")
            images = contents.usable(one.manifest.inputs.get("distilled", ""))
            seed = images.manifest.facts.get("seed") if images and images.manifest else None
            if seed is not None and seed != facts.seed:
                what = f"trained on images of another seed, {distilled.KIND}/{images.key if images else ''}"
                check.fail(f"{one.name}/{MANIFEST}", what, seed, facts.seed)
    return check


def check_repeats(contents: Contents) -> Check:
    """Every cell has every repeat of each of its seeds, and `table.json` shows the cells of the manifest."""
    check = Check(
        name="repeats",
        one="{} cell has the trainings that its table states",
        many="{} cells have the trainings that their tables state",
    )
    for table in measured(contents):
        file = f"{table.artifact.name}/{MANIFEST}"
        counts = set()
        for cell in table.facts.cells:
            found = [_seed_and_repeat(name) for name in cell.scores]
            seeds, repeats = ({each[i] for each in found} for i in (0, 1))
            grid = {(seed, repeat) for seed in seeds for repeat in range(1, len(repeats) + 1)}
            check.checked += 1
            counts.add(len(repeats))
            if set(found) != grid or len(found) != len(grid):
                what = f"trainings of {cell.title} with {cell.network}"
                check.fail(file, what, ", ".join(cell.scores), "every repeat of every seed, once")
        if len(counts) > 1:
            check.fail(file, "repeats of the cells differ", sorted(counts), "one number")
        if table.table is not None:
            shown = [(one.method, one.title, one.network, list(one.scores)) for one in table.table.cells]
            wanted = [(one.method, one.title, one.network, table.names(one)) for one in table.facts.cells]
            if shown != wanted:
                check.fail(f"{table.artifact.name}/table.json", "its cells are not those of its manifest")
    return check


def _seed_and_repeat(name: str) -> tuple[str, int]:
    """Of a training's name, ``<method> <network> seed <n> repeat <n>``; repeat 0 in another form."""
    before, _, repeat = name.rpartition(" repeat ")
    return before.rpartition(" seed ")[2], int(repeat) if repeat.isdecimal() else 0


def check_copies(contents: Contents) -> Check:
    """No two trainings of a cell gave the same answers to all images in the same course."""
    check = Check(
        name="copies",
        one="no suspicious duplicates of {} training",
        many="no suspicious duplicates among {} trainings",
    )
    for _, cell, found in _cells(contents):
        alike: dict[object, list[str]] = {}
        for _, one, _ in found:
            score = contents.score(one.name)
            if score is not None:
                check.checked += 1
                answers = (score.correct_best, score.correct_last, score.curve)
                alike.setdefault(answers, []).append(one.name)
        by_chance = 0
        for first, *others in alike.values():
            score = contents.score(first)
            assert score is not None
            if _is_by_chance(score, len(found)):
                by_chance += len(others)
                continue
            for other in others:
                check.fail(f"{other}/{FILE}", f"the same predictions and curve as {first}")
        if by_chance:
            told = f"{counted(by_chance, 'trainings')} of {cell.title} with {cell.network}"
            verb = "has" if by_chance == 1 else "have"
            check.remarks.append(f"{told} {verb} the same predictions as another; likely by chance")
    return check


def _is_by_chance(score: Score, trainings: int) -> bool:
    """Whether two trainings may well give the same answers.

    A network that gives one answer to every image is right on one run of images, as these are sorted by
    class; so is one that is always right. Else two networks that err independently, each on its share q of N
    images, agree with probability ((1 - q)^2 + q^2)^N.
    """
    if all(_is_one_run(bits) for bits in (score.correct_best, score.correct_last)):
        return True
    right = score.best_pct / 100
    pairs = trainings * (trainings - 1) / 2
    return bool(pairs * (right**2 + (1 - right) ** 2) ** score.validation_images >= CHANCE)


def _is_one_run(bits: str) -> bool:
    """Whether the ones of hexadecimal digits stand side by side, or there are none."""
    number = int(bits or "0", 16)
    return number & (number + (number & -number)) == 0
