"""LaTeX tables compile where there is a LaTeX (docs/checks.md says how to install it)."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tables.test_table import RANDOM, TABLE
from uvlp.tables import paper_texts, published
from uvlp.tables.paper import Measured, PaperTable
from uvlp.tables.table import latex

LATEX = shutil.which("pdflatex")
FOLDER = published.FILE.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LATEX is None, reason="no pdflatex: the LaTeX of tables is not compiled"),
]


def compiled(text: str, folder: Path, columns: str = "onecolumn") -> str:
    """Compile a table in an article that loads the packages of its first line; return the log.

    Raises:
        AssertionError: LaTeX reports an error.
    """
    packages = text.splitlines()[0].removeprefix("% needs ")
    document = [
        rf"\documentclass[{columns}]{{article}}",
        packages,
        r"\begin{document}",
        text,
        r"\end{document}",
    ]
    (folder / "table.tex").write_text("\n".join(document), encoding="utf-8")
    command = [str(LATEX), "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
@pytest.mark.parametrize("name", published.TABLES)
def test_a_published_table_compiles_and_fits_into_a_column(name: str, columns: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{name}.tex").read_text(encoding="utf-8")
    assert "Overfull" not in compiled(text, tmp_path, columns)


@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
def test_every_part_of_a_measured_table_compiles_and_fits_into_a_column(columns: str, tmp_path: Path) -> None:
    networks = ("convnet-3", "resnet-ap-10", "resnet-18")
    cells = [replace(cell, network=network) for network in networks for cell in TABLE.cells]
    compared = [replace(one, network=network) for network in networks for one in TABLE.comparisons]
    table = replace(TABLE, cells=tuple(cells), comparisons=tuple(compared))
    assert "Overfull" not in compiled(latex(table, "all"), tmp_path, columns)


@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
def test_measured_beside_published_compiles_and_fits_into_a_column(columns: str, tmp_path: Path) -> None:
    cells = published.table("nette-idc")
    found = Measured(cell=RANDOM, table="imagenette_100%-ipc10", validation_set="fastai")
    table = PaperTable(name="nette-idc", cells=cells, measured=dict.fromkeys(cells, found))
    assert "Overfull" not in compiled(paper_texts.latex(table), tmp_path, columns)


@pytest.mark.parametrize("title", [r"my_set \ 50% {x}^~ & <y>", "[b]--*c*|`d`", "± × é … – Ł"])
def test_names_of_any_characters_compile(title: str, tmp_path: Path) -> None:
    cells = tuple(replace(cell, title=title) for cell in TABLE.cells)
    compiled(latex(replace(TABLE, caption=title, name=title, cells=cells, notes=(title,))), tmp_path)
