"""Accuracy: the numbers of the table, and published ones where there are any."""

from dataclasses import replace

import pytest

from uvlp.report.blocks import Figure, Grid
from uvlp.report.panels import accuracy, comparison, curves
from uvlp.report.run import Run


def test_every_number_of_the_table_is_shown(run: Run) -> None:
    figure, grid = accuracy.panel(run).blocks
    assert isinstance(figure, Figure) and isinstance(grid, Grid)
    assert [row[0] for row in grid.rows] == ["Random", "VLCP", "UVLP"]
    for row, cell in zip(grid.rows, run.table.cells, strict=True):
        assert row[2] == cell.best.show() and row[3] == cell.best.show_interval()
        assert cell.best.show() in figure.text
    assert grid.rows[2][-1].startswith(f"{run.table.comparisons[2].difference_points:+.1f}")


def test_published_values_stand_beside_those_of_the_same_cell(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any("published" in line for line in accuracy.panel(run).left_out)
    monkeypatch.setattr(Run, "place", "imagenette")
    monkeypatch.setattr(Run, "ipc", 10)
    cells = tuple(replace(cell, network="resnet-ap-10") for cell in run.table.cells)
    run.table = replace(run.table, cells=cells)
    panel = accuracy.panel(run)
    grid = panel.blocks[-1]
    assert isinstance(grid, Grid) and "(uvlp-readme)" in grid.rows[2][6]
    drawn = panel.blocks[0].draw(600).to_dict()  # type: ignore[union-attr]
    shown = [row for data in drawn["datasets"].values() for row in data] if "datasets" in drawn else []
    shown += [row for layer in drawn["layer"] for row in layer.get("data", {}).get("values", ())]
    assert any(row.get("pass") == "published" for row in shown)


def test_published_values_at_other_ipc_give_a_curve(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not comparison.panel([run]).blocks, "one run, nothing published"
    del run.methods  # they were read from the table before it is changed
    monkeypatch.setattr(Run, "place", "imagenette")
    monkeypatch.setattr(Run, "ipc", 10)
    cells = tuple(replace(cell, network="resnet-ap-10") for cell in run.table.cells)
    run.table = replace(run.table, cells=cells)
    (figure,) = comparison.panel([run]).blocks
    assert isinstance(figure, Figure) and figure.name == "ipc" and "UVLP at 50, published" in figure.text


def test_curves_have_every_training(run: Run) -> None:
    (figure,) = curves.panel(run).blocks
    points = figure.draw.args[0]  # type: ignore[union-attr]
    assert len({point["training"] for point in points}) == 6 and len(points) == 12
