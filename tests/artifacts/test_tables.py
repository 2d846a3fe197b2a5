"""Tables: rounding, formats, sources."""

import csv
import io
from pathlib import Path

from uvlp.artifacts import tables
from uvlp.artifacts.tables import Cell, Table

CELLS = (
    Cell(
        method="random",
        title="Random",
        network="convnet-3",
        best_pct=(90.0, 92.0, 94.0),
        last_pct=(89.0, 91.0, 93.0),
        scores=("scores/a", "scores/b", "scores/c"),
    ),
    Cell(
        method="uvlp:no-outliers",
        title="UVLP (no-outliers)",
        network="convnet-3",
        best_pct=(95.04,),
        last_pct=(94.96,),
        scores=("scores/d",),
    ),
)
TABLE = Table(name="digits-ipc10", caption="digits & more", cells=CELLS, notes=("50 % ± 1",))


def test_a_cell_shows_mean_and_sample_deviation() -> None:
    assert CELLS[0].best() == "92.0 ± 2.0"


def test_one_training_has_no_deviation() -> None:
    assert (CELLS[1].best(), CELLS[1].last()) == ("95.0", "95.0")


def test_markdown_has_a_row_per_method_and_the_notes() -> None:
    text = tables.markdown(TABLE)
    assert "| Random             | 92.0 ± 2.0     | 91.0 ± 2.0     |" in text
    assert "- 50 % ± 1" in text


def test_every_cell_names_its_scores() -> None:
    text = tables.sources(TABLE)
    assert "random, convnet-3: scores/a, scores/b, scores/c" in text
    assert all(name in tables.latex(TABLE) for cell in CELLS for name in cell.scores)


def test_latex_escapes_and_balances() -> None:
    text = tables.latex(TABLE)
    assert r"50 \% $\pm$ 1" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    row = next(line for line in text.splitlines() if line.startswith("Random"))
    assert row == r"Random & $92.0 \pm 2.0$ & $91.0 \pm 2.0$ \\"


def test_csv_keeps_unrounded_values() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.comma_separated(TABLE))))
    assert [row["best_pct"] for row in rows] == ["90.0", "92.0", "94.0", "95.04"]


def test_written_tables_read_back_equal(tmp_path: Path) -> None:
    tables.write(tmp_path, TABLE)
    assert tables.read(tmp_path) == TABLE
    assert {path.name for path in tmp_path.iterdir()} == {"table.json", *tables.FORMATS.values()}
