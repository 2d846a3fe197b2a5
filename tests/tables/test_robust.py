"""Robust scores against calculations by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from uvlp.artifacts.tables import Cell, Summary, Table
from uvlp.core.errors import UvlpError
from uvlp.tables.robust import Robust, grid, robust, score
from uvlp.tables.uncertainty import summarise

SEEDS, REPEATS = (0, 0, 1, 1), (1, 2, 1, 2)


def cell(method: str, *best_pct: float, network: str = "convnet-3") -> Cell:
    summary: Summary = summarise(best_pct, SEEDS, 100)
    return Cell(
        method=method,
        title=method.upper(),
        network=network,
        seeds=SEEDS,
        repeats=REPEATS,
        best_pct=best_pct,
        last_pct=best_pct,
        top5_best_pct=(),
        top5_last_pct=(),
        best=summary,
        last=summary,
        top5_best=None,
        top5_last=None,
        validation_set="digits, 10 classes",
        validation_images=100,
        scores=(),
    )


def table(*cells: Cell) -> Table:
    return Table(name="a table", caption="", cells=cells, comparisons=(), notes=())


HARD = table(
    cell("random", 50, 52, 54, 56),
    cell("dm", 60, 60, 66, 66),
    cell("rded", 55, 55, 55, 55),
    cell("full", 90, 90, 92, 92),
)
PLAIN = table(cell("random", 40, 40, 40, 40), cell("dm", 44, 46, 48, 50), cell("rded", 40, 40, 40, 40))
SOFT = table(cell("random", 60, 60, 60, 60, network="conv3"), cell("rded", 70, 72, 74, 76, network="conv3"))


def by_title(soft: Table | None) -> dict[str, Robust]:
    return {row.title: row for row in robust(HARD, PLAIN, soft)}


@pytest.mark.parametrize(("alpha", "expected"), [(-1, 0.0), (0, 26.894), (1, 100.0)])
def test_the_score_maps_alpha_to_0_to_100(alpha: float, expected: float) -> None:
    assert score(alpha) == pytest.approx(expected, abs=0.001)


def test_scores_with_hard_labels() -> None:
    dm = by_title(None)["DM"]
    # Per training: own minus random, and full minus own, as fractions.
    alphas = [
        0.5 * 0.10 - 0.5 * 0.30,
        0.5 * 0.08 - 0.5 * 0.30,
        0.5 * 0.12 - 0.5 * 0.26,
        0.5 * 0.10 - 0.5 * 0.26,
    ]
    assert dm.labels == "hard" and dm.trainings == 4
    assert dm.label_score[0] == pytest.approx(score(sum(alphas) / 4))
    gains = [0.5 * (0.10 + 0.04), 0.5 * (0.08 + 0.06), 0.5 * (0.12 + 0.08), 0.5 * (0.10 + 0.10)]
    assert dm.augmentation_score[0] == pytest.approx(score(sum(gains) / 4))


def test_the_interval_is_that_of_the_seed_means() -> None:
    low, high = by_title(None)["DM"].augmentation_score[1:]
    of_seeds = (0.07, 0.10)
    half = 12.7062047 * math.dist(of_seeds[:1], of_seeds[1:]) / 2  # Student's t with one degree of freedom
    mean = sum(of_seeds) / 2
    assert low == pytest.approx(score(mean - half)) and high == pytest.approx(score(mean + half))


def test_soft_labels_count_for_the_methods_of_the_soft_table() -> None:
    rows = by_title(SOFT)
    assert rows["DM"].labels == "hard" and rows["RDED"].labels == "soft"
    # 73 - 60 with soft labels, 91 - 55 with hard ones.
    assert rows["RDED"].label_score[0] == pytest.approx(score(0.5 * 0.13 - 0.5 * 0.36))
    assert rows["RDED"].augmentation_score[0] == pytest.approx(score(0.5 * 0.02))


def test_a_single_training_has_no_interval() -> None:
    one = table(*(replace(each, seeds=(0,), repeats=(1,), best_pct=each.best_pct[:1]) for each in HARD.cells))
    (dm, _) = robust(one, PLAIN)
    assert dm.trainings == 1 and dm.label_score[1:] == (None, None)
    assert grid([dm], "").body[0][3] == f"{dm.label_score[0]:.1f}"


def test_a_missing_row_is_named() -> None:
    with pytest.raises(UvlpError) as caught:
        list(robust(table(*HARD.cells[:-1]), PLAIN))
    assert "full" in caught.value.what
