"""Edits of scores, of what they were trained on, and of tables, with all hashes mended."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.verification import editing
from tests.pipeline.verification.editing import (
    Edit,
    edit,
    halve,
    mend,
    mend_tables,
    of,
    of_made,
    of_manifest,
    of_score,
    of_table,
    raised,
    rekey,
    reword,
    score,
    steps,
    swap,
    table,
)
from uvlp.artifacts import scores, tables
from uvlp.artifacts.task import MANIFEST
from uvlp.pipeline.verification.verify import failure, verify
from uvlp.tables.notes import DEVICES
from uvlp.tables.table import texts

OF_SCORES: dict[str, tuple[Edit, str, str]] = {
    "another title": (lambda root: of_manifest(score(root), title="uvlp scored by x"), "names", MANIFEST),
    "a score of another method": (editing.score_of_another_method, "names", MANIFEST),
    "a seed and repeat twice": (editing.twice, "seeds", MANIFEST),
    "images of another seed": (editing.other_images, "seeds", MANIFEST),
    "fewer repeats": (editing.fewer_repeats, "repeats", MANIFEST),
    "a copied score": (editing.copy_score, "copies", "score.json"),
    "a setting of one score": (editing.other_setting, "settings", MANIFEST),
    "a setting that stands in no key": (
        lambda root: edit(score(root) / MANIFEST, lambda content: content["settings"].update(lr=9.0)),
        "settings",
        MANIFEST,
    ),
    "half a score": (
        steps(lambda root: halve(score(root) / scores.FILE), lambda root: mend(score(root))),
        "accuracies",
        "score.json",
    ),
    "another accuracy": (lambda root: of_score(score(root), best_pct=99.0), "accuracies", "score.json"),
    "another curve": (lambda root: of_score(score(root), curve=[[1, 1.0]]), "accuracies", "score.json"),
    "fewer bits": (
        lambda root: of_score(score(root), correct_best="ff", correct_last="ff", validation_images=8),
        "accuracies",
        "score.json",
    ),
    "bits that are none": (lambda root: of_score(score(root), correct_best="x"), "accuracies", "score.json"),
    "another set": (lambda root: of_score(score(root), validation_set="mine"), "accuracies", "score.json"),
    "more images": (lambda root: of_score(score(root), train_images=100), "accuracies", "score.json"),
}
OF_TABLES: dict[str, tuple[Edit, str, str]] = {
    "swapped scores": (
        steps(
            lambda root: swap(score(root) / scores.FILE, score(root, 1) / scores.FILE),
            *(lambda root: mend(score(root)), lambda root: mend(score(root, 1)), mend_tables),
        ),
        "table",
        "table.json",
    ),
    "a better score": (
        steps(
            lambda root: scores.write(score(root), raised(scores.read(score(root)), 20)),
            *(lambda root: mend(score(root)), mend_tables),
        ),
        "table",
        "table.json",
    ),
    "a mean": (
        lambda root: of_table(root, lambda content: content["cells"][0]["best"].update(mean_pct=99.0)),
        "table",
        "table.json",
    ),
    "an interval": (
        lambda root: of_table(root, lambda content: content["cells"][0]["last"].update(low_pct=1.0)),
        "table",
        "table.json",
    ),
    "a verdict": (
        lambda root: of_table(root, lambda content: content["comparisons"][0].update(verdict="worse than")),
        "table",
        "table.json",
    ),
    "a note less": (
        lambda root: of_table(root, lambda content: content["notes"].pop()),
        "table",
        "table.json",
    ),
    "a note more": (
        lambda root: of_table(root, lambda content: content["notes"].append("Random: 3 outliers left out")),
        "table",
        "table.json",
    ),
    "other cells": (
        lambda root: of_table(root, lambda content: content["cells"].reverse()),
        "repeats",
        "table.json",
    ),
}


@pytest.mark.parametrize("what", [*OF_SCORES, *OF_TABLES])
def test_an_edit_is_named(root: Path, what: str) -> None:
    change, check, file = (OF_SCORES | OF_TABLES)[what]
    change(root)
    editing.named(root, check, file)


@pytest.mark.parametrize("file", ["table.md", "table.tex", "table.csv", "table.json"])
def test_another_text_of_a_table_is_named(root: Path, file: str) -> None:
    reword(table(root) / file)
    mend(table(root))
    editing.named(root, "table", file)


def test_a_table_of_another_revision_is_compared_by_its_accuracies(root: Path) -> None:
    edit(table(root) / MANIFEST, lambda content: content.update(revision=0))
    rekey(table(root))
    reword(table(root) / "table.md")
    mend(table(root))
    assert failure(verify(root, None, None, None)) is None
    of_table(root, lambda content: content["cells"][0]["best"].update(mean_pct=99.0))
    editing.named(root, "table", "table.json")


def test_devices_of_a_table_are_those_of_its_artifacts(root: Path) -> None:
    """Unless it does not say them, as tables of earlier versions."""
    of_made(score(root), gpu="Card A")
    assert failure(verify(root, None, None, None)) is None
    note = f"{DEVICES}CPU: images, scores; Card A: scores"
    of_table(root, lambda content: content["notes"].append(note))
    for form, text in texts(tables.read(table(root))).items():
        (table(root) / tables.FORMATS[form]).write_text(text, encoding="utf-8")
    mend(table(root))
    assert failure(verify(root, None, None, None)) is None
    of_made(score(root), gpu="Card B")
    editing.named(root, "table", "table.json")


def test_other_versions_in_a_cell_are_a_remark(root: Path) -> None:
    of_made(score(root), versions={"torch": "1.0"})
    checks = {check.name: check for check in verify(root, None, None, None)}
    assert failure(list(checks.values())) is None
    assert len(checks["versions"].remarks) == 1 and "torch 1.0, " in checks["versions"].remarks[0]


def test_networks_that_give_one_answer_may_be_alike(root: Path) -> None:
    """All images of one class are right, as they are for whoever answers with that class alone."""
    alike = editing.one_answer(scores.read(score(root)))
    editing.forge(root, {score(root, 0, repeat): alike for repeat in (1, 2)})
    checks = {check.name: check for check in verify(root, None, None, None)}
    assert not checks["copies"].findings and len(checks["copies"].remarks) == 1


def test_a_consistent_forgery_is_not_seen_in_the_files(root: Path) -> None:
    editing.forge(root, {score(root): raised(scores.read(score(root)), 20)})
    assert failure(verify(root, None, None, None)) is None


def test_scores_that_no_table_shows_are_looked_at(root: Path) -> None:
    one = of(root, "scores")
    for folder in (root / "tables").iterdir():
        shutil.rmtree(folder)
    of_score(one, best_pct=99.0)
    editing.named(root, "accuracies", one.name)
