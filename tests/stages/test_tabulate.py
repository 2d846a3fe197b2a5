"""Stage tabulate: stored scores become a table with comparisons."""

import csv
import io
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from uvlp.artifacts import distilled, scores, tables
from uvlp.artifacts.scores import Score
from uvlp.artifacts.store import Store
from uvlp.artifacts.tables import Table
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core.progress import Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.stages import tabulate
from uvlp.tables.comparisons import against
from uvlp.tables.notes import DEVICES, on_devices
from uvlp.tables.table import comma_separated, screen
from uvlp.tables.uncertainty import holm

IMAGES = 490
ABILITY = {"full": 2.0, "random": 1.0, "uvlp": 1.6, "vlcp": 1.0, "uvlp:a": 1.0, "uvlp:b": 1.6}
Trained = tuple[str, str, int, int]


def bits(correct: numpy.ndarray) -> str:
    return numpy.packbits(correct).tobytes().hex()


def score(method: str, network: str, seed: int, repeat: int) -> Score:
    """Predictions with a difficulty per image and a noise per training."""
    difficulty = numpy.random.default_rng(len(network)).normal(0, 1, IMAGES)
    noise = numpy.random.default_rng([*map(ord, method + network), seed, repeat])
    correct = [difficulty + noise.normal(0, 0.5, IMAGES) < ABILITY[method] - late for late in (0, 0.05)]
    best, last = (100 * float(each.mean()) for each in correct)
    return Score(
        best_pct=best,
        best_epoch=40,
        last_pct=last,
        top5_best_pct=99.0,
        top5_last_pct=98.5 + repeat / 10,
        curve=((40, best), (60, last)),
        correct_best=bits(correct[0]),
        correct_last=bits(correct[1]),
        validation_set="digits, test split",
        validation_images=IMAGES,
        train_images=100,
        parameters=1000,
    )


def trained(methods: Sequence[str], seeds: int = 1, repeats: int = 3) -> list[Trained]:
    return [
        (method, network, seed, repeat)
        for method in methods
        for network in ("convnet-3", "resnet-18")
        for seed in range(seeds)
        for repeat in range(1, repeats + 1)
    ]


def tabulated(
    root: Path,
    made: dict[Trained, Score],
    notes: Sequence[str] = (),
    ablations: Sequence[str] = (),
    cards: Mapping[str, str | None] | None = None,
) -> tuple[Table, Path]:
    """Store these scores as artifacts and make their table with the stage; ``cards``: GPUs by method."""
    store = Store(root / "store")
    store.prepare()
    inputs: dict[str, Task] = {}
    entries: dict[tuple[str, str], list[str]] = {}
    for (method, network, seed, repeat), result in made.items():
        facts = {"network": network, "seed": seed, "repeat": repeat, "method": method}
        # The full dataset is the same for every seed.
        images = Task(
            kind=distilled.KIND,
            stage="synthesise",
            facts={"method": method} if method == "full" else {"method": method, "seed": seed},
        )
        task = Task(kind=scores.KIND, stage="evaluate", facts=facts, inputs={"distilled": images})
        with store.making(task, lambda line: None) as folder:
            assert folder is not None
            scores.write(folder, result)
            store.commit(task, folder, {"gpu": cards[method]} if cards else {})
        name = f"{method} {network} seed {seed} repeat {repeat}"
        inputs[name] = task
        entries.setdefault((method, network), []).append(name)
    cells = [
        {"method": method, "title": method.upper(), "network": network, "scores": names}
        for (method, network), names in entries.items()
    ]
    facts = {"name": "digits-ipc10", "caption": "digits, 10 per class", "cells": cells, "notes": list(notes)}
    if ablations:
        facts["ablations"] = {method: f"without {method[-1]}" for method in ablations}
    folder = root / "table"
    folder.mkdir()
    task = Task(kind=tables.KIND, stage="tabulate", facts=facts, inputs=inputs)
    tabulate.run(Work(task=task, folder=folder, store=store, progress=Progress(), open_dataset=open_dataset))
    return tables.read(folder), folder


def scored(*each: Trained, **changes: Any) -> dict[Trained, Score]:
    return {training: replace(score(*training), **changes) for training in each}


def test_table_of_several_types_of_devices_says_so(tmp_path: Path) -> None:
    made = scored(*trained(["random", "uvlp"]))
    for name, cards, expected in (
        ("mixed", {"random": None, "uvlp": "NVIDIA H200"}, ["CPU: scores; NVIDIA H200: scores"]),
        ("same", {"random": "NVIDIA H200", "uvlp": "NVIDIA H200"}, []),
        ("cpu", {"random": None, "uvlp": None}, []),
        ("early", None, []),
    ):
        (tmp_path / name).mkdir()
        table, _ = tabulated(tmp_path / name, made, cards=cards)
        devices = [note.removeprefix(DEVICES) for note in table.notes if note.startswith(DEVICES)]
        assert devices == expected, name
        assert [line for line in screen(table).splitlines() if DEVICES in line] == [
            f"- {DEVICES}{each}" for each in expected
        ]


def test_what_computes_on_the_processor_makes_no_table_mixed() -> None:
    made = [("pixels", "pixels", {"gpu": None}), ("prototypes", "prototype", {"gpu": None})]
    assert not list(on_devices([*made, ("scores", "evaluate", {"gpu": "A"})]))
    assert list(
        on_devices([("weights", "finetune", {"gpu": None}), ("scores", "evaluate", {"gpu": "A"})])
    ) == [f"{DEVICES}A: scores; CPU: models"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    """With `random` second, because users choose the order."""
    root = tmp_path_factory.mktemp("made")
    return tabulated(root, scored(*trained(["full", "random", "uvlp", "vlcp"])), ["short schedule"])


def test_every_method_is_compared_with_random(made: tuple[Table, Path]) -> None:
    table, _ = made
    compared = [(one.network, one.method, one.which) for one in table.comparisons]
    assert compared == [
        (network, method, which)
        for network in ("convnet-3", "resnet-18")
        for method in ("full", "uvlp", "vlcp")
        for which in ("best", "last")
    ]
    assert {one.reference for one in table.comparisons} == {"random"}
    assert {one.pairs for one in table.comparisons} == {3}


def test_the_difference_is_that_of_the_means(made: tuple[Table, Path]) -> None:
    table, _ = made
    cells = {(cell.method, cell.network): cell for cell in table.cells}
    for one in table.comparisons:
        own, other = cells[one.method, one.network], cells["random", one.network]
        means = [getattr(cell, one.which).mean_pct for cell in (own, other)]
        assert one.difference_points == pytest.approx(means[0] - means[1], abs=1e-9)


def test_verdicts_match_the_simulated_abilities(made: tuple[Table, Path]) -> None:
    table, _ = made
    verdicts = {(one.method, one.verdict) for one in table.comparisons}
    assert verdicts == {("full", "better"), ("uvlp", "better"), ("vlcp", "cannot tell")}


def test_holm_corrects_over_the_methods_of_one_column(made: tuple[Table, Path]) -> None:
    table, _ = made
    column = [one for one in table.comparisons if (one.network, one.which) == ("convnet-3", "best")]
    least = min(column, key=lambda one: one.p_value)
    assert least.p_holm == pytest.approx(3 * least.p_value)
    assert all(one.p_holm >= one.p_value for one in column)
    assert any("corrected for the 3 methods" in note for note in table.notes)


def test_without_random_the_first_method_is_the_reference(tmp_path: Path) -> None:
    table, folder = tabulated(tmp_path, scored(*trained(["vlcp", "uvlp"])))
    assert {(one.method, one.reference) for one in table.comparisons} == {("uvlp", "vlcp")}
    assert "Difference from VLCP" in (folder / "table.md").read_text()
    assert not any("Holm" in note for note in table.notes)


def test_a_single_method_is_not_compared(tmp_path: Path) -> None:
    table, folder = tabulated(tmp_path, scored(*trained(["vlcp"])))
    assert table.comparisons == ()
    assert "verdict" not in (folder / "table.md").read_text()


ABLATIONS = ("uvlp:a", "uvlp:b")


@pytest.fixture(scope="module")
def ablated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    """Without a the method gets worse, without b it stays as it is."""
    root = tmp_path_factory.mktemp("ablated")
    return tabulated(root, scored(*trained(["uvlp", *ABLATIONS])), ablations=ABLATIONS)


def test_an_ablation_is_compared_as_the_method_minus_the_ablation(ablated: tuple[Table, Path]) -> None:
    table, _ = ablated
    cells = {(cell.method, cell.network): cell for cell in table.cells}
    assert {(one.method, one.reference) for one in table.comparisons} == {
        ("uvlp", "uvlp:a"),
        ("uvlp", "uvlp:b"),
    }
    for one in table.comparisons:
        means = [getattr(cells[name, one.network], one.which).mean_pct for name in ("uvlp", one.reference)]
        assert one.difference_points == pytest.approx(means[0] - means[1], abs=1e-9)
    assert {(one.reference, one.verdict) for one in table.comparisons} == {
        ("uvlp:a", "better"),
        ("uvlp:b", "cannot tell"),
    }


def test_holm_corrects_over_all_rows_of_ablations(ablated: tuple[Table, Path]) -> None:
    table, _ = ablated
    for which in ("best", "last"):
        rows = [one for one in table.comparisons if one.which == which]
        assert len(rows) == 4, "two ablations, two networks"
        assert [one.p_holm for one in rows] == holm([one.p_value for one in rows])
    assert any("corrected for the 4 rows" in note for note in table.notes)


def test_the_files_of_ablations_say_what_each_part_is_worth(ablated: tuple[Table, Path]) -> None:
    table, folder = ablated
    assert table.ablations == {"uvlp:a": "without a", "uvlp:b": "without b"}
    rows = [line for line in (folder / "table.md").read_text().splitlines() if "without" in line]
    assert [[cell.strip() for cell in row.split("|")][1:4] for row in rows] == [
        [name, f"without {name}", network] for name in "ab" for network in ("convnet-3", "resnet-18")
    ]
    assert all(row.count("helps") == 2 for row in rows[:2])
    assert all(row.count("cannot tell") == 2 for row in rows[2:])
    assert "without a" in (folder / "table.tex").read_text() and "without a" in screen(table)
    assert " decide)" in screen(table) and not any(" decide)" in row for row in rows)
    read = list(csv.DictReader(io.StringIO(comma_separated(table, "differences"))))
    assert [(row["reference"], row["ablation"]) for row in read[::4]] == [
        ("uvlp:a", "without a"),
        ("uvlp:b", "without b"),
    ]
    assert float(read[0]["difference_points"]) == table.comparisons[0].difference_points


def test_ablations_compared_with_another_method_are_a_usual_table(ablated: tuple[Table, Path]) -> None:
    table, folder = ablated
    other = against(table, folder.parent / "store", "uvlp:b")
    assert {one.reference for one in other.comparisons} == {"uvlp:b"} and not other.ablations
    assert not any("4 rows" in note for note in other.notes)


def test_other_tables_are_stored_as_before_there_were_ablations(made: tuple[Table, Path]) -> None:
    assert "ablations" not in (made[1] / "table.json").read_text()


def test_one_training_has_no_interval_and_its_verdict_is_qualified(tmp_path: Path) -> None:
    table, folder = tabulated(tmp_path, scored(*trained(["random", "uvlp"], repeats=1)))
    assert {(cell.best.std_pct, cell.best.low_pct, cell.best.basis) for cell in table.cells} == {
        (None, None, "")
    }
    assert {one.basis for one in table.comparisons} == {"images"}
    text = (folder / "table.md").read_text()
    assert "one training, which has no deviation and no interval" in text
    assert "the noise of training is unknown" in text
    assert "its interval covers other test images" in text and "other trainings" not in text


def test_several_seeds_count_as_seeds(tmp_path: Path) -> None:
    table, folder = tabulated(tmp_path, scored(*trained(["random", "uvlp"], seeds=3, repeats=2)))
    cell = table.cells[0]
    assert (cell.seeds, cell.repeats) == ((0, 0, 1, 1, 2, 2), (1, 2, 1, 2, 1, 2))
    assert (cell.best.basis, cell.best.trainings) == ("seeds", 6)
    assert {(one.basis, one.pairs) for one in table.comparisons} == {("seeds", 6)}
    text = (folder / "table.md").read_text()
    assert "of 6 trainings (3 seeds × 2 repeats)" in text and "means of the seeds" in text
    assert "the same images in every seed" not in text and "other trainings and other test images" in text


def test_images_that_do_not_depend_on_the_seed_are_noted(tmp_path: Path) -> None:
    table, _ = tabulated(tmp_path, scored(*trained(["random", "full"], seeds=2, repeats=1)))
    (note,) = [note for note in table.notes if "the same images in every seed" in note]
    assert note.startswith("FULL: ") and "noise of training alone" in note


def test_trainings_without_a_partner_are_counted(tmp_path: Path) -> None:
    some = scored(*trained(["random"], repeats=3), *trained(["uvlp"], repeats=2))
    table, _ = tabulated(tmp_path, some)
    assert {one.pairs for one in table.comparisons} == {2}
    assert any("2 of 3 trainings of RANDOM have a partner" in note for note in table.notes)
    assert any("of 2 to 3 trainings" in note for note in table.notes)


def test_methods_without_a_common_seed_are_not_compared(tmp_path: Path) -> None:
    other = [training for training in trained(["uvlp"], seeds=2) if training[2] == 1]
    table, _ = tabulated(tmp_path, scored(*trained(["random"]), *other))
    assert table.comparisons == ()
    assert any("UVLP with convnet-3: not compared with RANDOM, no training" in note for note in table.notes)


def test_different_validation_sets_are_not_compared(tmp_path: Path) -> None:
    others = scored(*trained(["vlcp"]), validation_set="digits, all")
    table, _ = tabulated(tmp_path, scored(*trained(["random", "uvlp"])) | others)
    assert {one.method for one in table.comparisons} == {"uvlp"}
    line = next(note for note in table.notes if "not comparable" in note)
    assert "digits, all (490 images) and digits, test split (490 images)" in line
    assert sum("binomial standard error" in note for note in table.notes) == 2


def test_notes_explain_the_numbers(made: tuple[Table, Path]) -> None:
    table, _ = made
    text = "\n".join(table.notes)
    parts = ("ddof 1", "3 trainings (1 seed × 3 repeats)", "repeats of one seed", "highest of 2 validation")
    for part in (*parts, "490 validation images of digits, test split", "Wilson", "short schedule"):
        assert part in text


def test_the_csv_has_a_row_per_training(made: tuple[Table, Path]) -> None:
    table, folder = made
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    assert len(rows) == sum(len(cell.scores) for cell in table.cells) == 24
    by_score = {row["score"]: row for row in rows}
    for cell in table.cells:
        for number, name in enumerate(cell.scores):
            row = by_score[name]
            assert (row["method"], row["network"]) == (cell.method, cell.network)
            assert (int(row["seed"]), int(row["repeat"])) == (cell.seeds[number], cell.repeats[number])
            assert float(row["best_pct"]) == cell.best_pct[number]
            assert float(row["top5_last_pct"]) == cell.top5_last_pct[number]
            assert int(row["validation_images"]) == IMAGES


def test_without_top5_accuracies_no_top5_is_shown(tmp_path: Path) -> None:
    few = scored(*trained(["random", "uvlp"]), top5_best_pct=None, top5_last_pct=None)
    table, folder = tabulated(tmp_path, few)
    assert {(cell.top5_best, cell.top5_best_pct) for cell in table.cells} == {(None, ())}
    assert "top-5" not in (folder / "table.md").read_text()


def test_a_finished_table_is_read_without_numpy(made: tuple[Table, Path]) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from uvlp.artifacts import tables; import uvlp.stages.tabulate\n"
        f"assert tables.read(Path({str(made[1])!r})).comparisons\n"
        "print(sorted(set(sys.modules) & {'numpy', 'scipy', 'torch'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_deleted_artifacts_are_noted_because_their_counts_are_missing(
    made: tuple[Table, Path],
) -> None:
    """`tabulated` only stores scores, as if the images had been deleted by hand."""
    table, _ = made
    missing = [note for note in table.notes if "no distilled in the store" in note]
    assert [note.partition(":")[0] for note in missing] == ["FULL", "RANDOM", "UVLP", "VLCP"]
