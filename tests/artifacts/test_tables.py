"""Rows of a table's trainings, and the frame of them."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from tests.stored_tables import put_table
from uvlp.artifacts import tables
from uvlp.core.errors import UvlpError


@pytest.fixture
def table(tmp_path: Path) -> tables.Table:
    return tables.read(put_table(tmp_path)[0])


def test_there_is_a_row_per_training(table: tables.Table) -> None:
    rows = [*table.trainings()]
    assert len(rows) == sum(len(cell.scores) for cell in table.cells) == 4
    assert [row["method"] for row in rows] == ["random", "random", "uvlp", "uvlp"]
    assert [row["best_pct"] for row in rows] == [pct for cell in table.cells for pct in cell.best_pct]
    assert {row["top5_best_pct"] for row in rows} == {None}


def test_a_frame_has_the_rows(table: tables.Table) -> None:
    frame = table.to_frame()
    rows = [*table.trainings()]
    assert [*frame.columns] == [*rows[0]] and len(frame) == len(rows)
    means = frame.groupby("method")["best_pct"].mean()
    assert [means[cell.method] for cell in table.cells] == pytest.approx(
        [cell.best.mean_pct for cell in table.cells]
    )


def test_without_pandas_there_is_one_line(table: tables.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return plain(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UvlpError) as caught:
        table.to_frame()
    assert "pandas" in caught.value.what and "--format csv" in str(caught.value.fix)
