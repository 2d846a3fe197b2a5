"""`uvlp table NAME` of published tables: their layout, what was measured beside, and what is missing."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stored_tables import put_table
from uvlp.artifacts.store import Store
from uvlp.cli import app, run
from uvlp.core import plugins
from uvlp.pipeline.published import show
from uvlp.recipes.requests.request import Request
from uvlp.tables import published

Call = Callable[..., tuple[int, str, str]]
README = {
    "nette-idc": ["Random", "DiT", "DM", "Minimax", "D4M", "VLCP", "UVLP"],
    "woof-ipc10": [
        *("Random", "K-Center", "Herding", "DiT", "DM", "GLaD", "Minimax"),
        *("D4M", "VLCP", "UVLP", "Full"),
    ],
}
"""Columns of the tables of UVLP's README."""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`uvlp` on the store in the test's folder: exit code, output and errors."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments, "--store", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            app.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run_command


def rows(text: str) -> list[list[str]]:
    """The cells of the Markdown table in a text, with its head."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def marked(numbers: dict[str, str]) -> dict[str, str]:
    """The numbers of a row as Markdown shows them, from their texts alone: two highest means marked."""
    means = {name: float(text.split()[0]) for name, text in numbers.items() if name != "Full"}
    first, second = sorted(set(means.values()), reverse=True)[:2]
    signs = {first: "**", second: "*"}
    return {
        name: f"{signs.get(means.get(name, -1), '')}{text}{signs.get(means.get(name, -1), '')}"
        for name, text in numbers.items()
    }


def test_tables_of_the_readme_have_their_cells_layout_and_marks(tmp_path: Path) -> None:
    checked = 0
    for name, methods in README.items():
        head, *body = rows(show.render(name, "markdown", Store(tmp_path)))
        labels = len(head) - len(methods)
        assert head[labels:] == methods
        for row in body:
            numbers = {title: text.strip("*") for title, text in zip(methods, row[labels:], strict=True)}
            assert row[labels:] == list(marked(numbers).values()), row
            for title, text in numbers.items():
                cell = _cell(name, dict(zip(head, row[:labels], strict=False)), title)
                assert text == f"{cell.mean_pct:.1f} ± {cell.std_pct:.1f}", (name, row, title)
                checked += 1
    assert checked == 75


def _cell(name: str, row: dict[str, str], title: str) -> published.Published:
    (found,) = [
        cell
        for cell in published.table(name)
        if published.title(cell.method) == title
        and row.get("dataset", published.title(cell.dataset)) == published.title(cell.dataset)
        and row.get("IPC", str(cell.ipc)) == str(cell.ipc)
        and row.get("network", published.title(cell.network)) == published.title(cell.network)
    ]
    return found


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
@pytest.mark.parametrize("name", published.TABLES)
def test_every_table_is_the_same_each_time_and_loads_no_torch(name: str, form: str, tmp_path: Path) -> None:
    text = show.render(name, form, Store(tmp_path))
    assert text == show.render(name, form, Store(tmp_path))
    assert len(text.splitlines()) > 5


def test_csv_has_a_row_per_cell_with_its_source(call: Call) -> None:
    code, out, _ = call("table", "woof-ipc10", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and len(found) == 33 and {row["source"] for row in found} == {"uvlp-readme"}
    copied = {row["method"] for row in found if row["copied_from"] == "minimax-readme"}
    assert copied == {"random", "k-center", "herding", "dit", "dm", "glad", "full"}
    assert {row["measured_mean"] for row in found} == {""}


COLUMNS = ("random", "dit", "dm", "minimax", "d4m", "vlcp", "uvlp")
HERE = tuple(name for name in COLUMNS if name in plugins.names("methods"))
"""Methods of `nette-idc` that can be run, in the order of its columns."""


def test_measured_stands_below_published_with_interval_and_verdict(call: Call, tmp_path: Path) -> None:
    put_table(tmp_path, "imageidc-ipc10", methods=("random", "uvlp"), network="resnet-ap-10")
    code, out, _ = call("table", "nette-idc")
    assert code == 0
    head, *body = rows(out)
    (measured,) = [row for row in body if "measured" in row]
    assert measured[:3] == ["ImageIDC", "10", "measured"]
    cells = dict(zip(head, measured, strict=True))
    assert "; n 2)" in cells["Random"] and "; n 2)" in cells["UVLP"] and cells["VLCP"] == "-"
    (note,) = [line for line in out.splitlines() if line.startswith("- UVLP, ImageIDC, 10 per class")]
    assert "measured minus published" in note and "points: " in note and "standard error" in note
    commands = [line for line in out.splitlines() if "`uvlp reproduce imageidc 10" in line]
    missing = [name for name in HERE if name not in ("random", "uvlp")]
    assert len(commands) == 1 and f"--method {','.join(missing)} --network resnet-ap-10" in commands[0]


def test_other_test_images_are_named_not_comparable(call: Call, tmp_path: Path) -> None:
    put_table(tmp_path, "imagewoof-ipc10", methods=("random",), network="convnet-6")
    _, out, _ = call("table", "woof-ipc10", "--format", "csv")
    (row,) = [row for row in csv.DictReader(io.StringIO(out)) if row["measured_mean"]]
    assert (row["measured_on"], row["validation_set"], row["verdict"]) == (
        "fastai",
        "ilsvrc",
        "not comparable",
    )


def test_the_stored_table_with_the_most_trainings_counts(call: Call, tmp_path: Path) -> None:
    put_table(tmp_path, "imageidc-ipc10", methods=("random",), network="resnet-ap-10")
    put_table(tmp_path, "imageidc-ipc10", methods=("random", "uvlp"), network="resnet-ap-10", repeats=4)
    _, out, _ = call("table", "nette-idc", "--format", "csv")
    found = {row["method"]: row["trainings"] for row in csv.DictReader(io.StringIO(out)) if row["trainings"]}
    assert found == {"random": "4", "uvlp": "4"}


def test_of_one_name_the_published_table_is_shown_and_measured_is_an_option(
    call: Call, tmp_path: Path
) -> None:
    put_table(tmp_path, "nette-idc")
    assert "UVLP's README" in call("table", "nette-idc")[1]
    code, out, _ = call("table", "nette-idc", "--measured")
    assert code == 0 and "caption of nette-idc" in out
    assert "nette-idc (--measured)" in call("list", "tables", "--json")[1]


def test_fill_runs_what_is_missing_and_prints_the_table(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_table(tmp_path, "imageidc-ipc10", methods=("random", "uvlp"), network="resnet-ap-10")
    made: list[tuple[Any, ...]] = []

    def record(request: Request, until: str, execution: run.Execution) -> None:
        print("what a run prints")
        made.append(
            (request.dataset, request.ipc, request.methods, request.networks, request.seeds, request.data)
        )

    monkeypatch.setattr(run, "run", record)
    code, out, err = call("table", "nette-idc", "--fill", "--data", "somewhere")
    assert code == 0 and out.startswith("Top-1 accuracy") and "what a run prints" in err
    usual = (HERE, ("resnet-ap-10",), (0, 1, 2), "somewhere")
    missing = tuple(name for name in HERE if name not in ("random", "uvlp"))
    assert made[0] == ("imageidc", 10, missing, *usual[1:])
    assert made[1:] == [
        (dataset, ipc, *usual)
        for dataset, ipc in [
            ("imageidc", 20),
            ("imageidc", 50),
            *(("imagenette", ipc) for ipc in (10, 20, 50)),
        ]
    ]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("table", "woof-ipc1"), "no such table: got 'woof-ipc1'"),
        (("table", "nette-idc", "--format", "word"), "unknown format: got 'word'"),
        (("table", "nette-idc", "--part", "top"), "unknown part: got 'top'"),
        (("table", "nette-idc", "--against", "random"), "--against with a published table: got 'random'"),
        (("table", "digits-ipc10", "--fill"), "--fill of a measured table: got 'digits-ipc10'"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], what: str, call: Call) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "") and err.count("\n") == 1 and what in err
