"""Tables: rounding, intervals, comparisons, formats, sources."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from uvlp.artifacts import tables
from uvlp.artifacts.tables import Cell, Comparison, Summary, Table, read, write
from uvlp.tables.notes import on_comparisons
from uvlp.tables.sentences import sentences
from uvlp.tables.table import comma_separated, latex, markdown, printed, screen, sources, texts


def summary(mean: float, std: float | None = None, half: float = 5.0) -> Summary:
    several = std is not None
    return Summary(
        mean_pct=mean,
        std_pct=std,
        ddof=1,
        trainings=3 if several else 1,
        low_pct=mean - half if several else None,
        high_pct=mean + half if several else None,
        basis="repeats" if several else "",
        binomial_error_points=1.2,
        wilson_low_pct=mean - 2.4,
        wilson_high_pct=mean + 2.4,
    )


RANDOM = Cell(
    method="random",
    title="Random",
    network="convnet-3",
    seeds=(0, 0, 0),
    repeats=(1, 2, 3),
    best_pct=(90.0, 92.0, 94.0),
    last_pct=(89.0, 91.0, 93.0),
    top5_best_pct=(99.0, 99.1, 99.2),
    top5_last_pct=(98.0, 98.1, 98.2),
    best=summary(92.0, 2.0),
    last=summary(91.0, 2.0),
    top5_best=summary(99.1, 0.1),
    top5_last=summary(98.1, 0.1),
    validation_set="cifar100, 100 classes",
    validation_images=490,
    scores=("scores/a", "scores/b", "scores/c"),
)
UVLP = Cell(
    method="uvlp:no-outliers",
    title="UVLP (no-outliers)",
    network="convnet-3",
    seeds=(0,),
    repeats=(1,),
    best_pct=(95.04,),
    last_pct=(94.96,),
    top5_best_pct=(),
    top5_last_pct=(),
    best=summary(95.04),
    last=summary(94.96),
    top5_best=None,
    top5_last=None,
    validation_set="cifar100, 100 classes",
    validation_images=490,
    scores=("scores/d",),
)


def comparison(which: str, points: float, p_holm: float, verdict: str) -> Comparison:
    return Comparison(
        method="uvlp:no-outliers",
        reference="random",
        network="convnet-3",
        which=which,
        pairs=1,
        basis="images",
        difference_points=points,
        low_points=points - 2,
        high_points=points + 2,
        p_value=p_holm / 2,
        p_holm=p_holm,
        verdict=verdict,
    )


COMPARISONS = (comparison("best", 3.04, 0.0004, "better"), comparison("last", -0.26, 0.8, "cannot tell"))
TABLE = Table(
    name="digits-ipc10",
    caption="digits & more",
    cells=(RANDOM, UVLP),
    comparisons=COMPARISONS,
    notes=("50 % ± 1",),
)


def titled(title: str) -> Table:
    """A table of one cell."""
    return Table(name="t", caption="c", cells=(replace(RANDOM, title=title),), comparisons=(), notes=())


def grids(text: str) -> list[list[list[str]]]:
    """Return the tables of a Markdown text, as rows of cells."""
    grids_: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            grids_[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif grids_[-1]:
            grids_.append([])
    return [grid for grid in grids_ if grid]


def test_mean_has_deviation_and_interval() -> None:
    assert (RANDOM.best.show(), RANDOM.best.show_interval()) == ("92.0 ± 2.0", "87.0 to 97.0")


def test_single_training_has_no_deviation_and_no_interval() -> None:
    assert (UVLP.best.show(), UVLP.last.show(), UVLP.best.show_interval()) == ("95.0", "95.0", "")


def test_markdown_shows_means_then_intervals_then_comparisons() -> None:
    means, intervals, differences = grids(markdown(TABLE))
    assert means[0] == ["method", "convnet-3 best", "convnet-3 last"]
    assert means[2:] == [["Random", "92.0 ± 2.0", "91.0 ± 2.0"], ["UVLP (no-outliers)", "95.0", "95.0"]]
    top5 = ["99.1 ± 0.1", "98.1 ± 0.1"]
    assert intervals[2] == ["Random", "convnet-3", "3", "87.0 to 97.0", "86.0 to 96.0", *top5]
    assert intervals[3] == ["UVLP (no-outliers)", "convnet-3", "1", "-", "-", "-", "-"]
    best, last = ["+3.0 (+1.0 to +5.0)", "< 0.001", "better"], ["-0.3 (-2.3 to +1.7)", "0.80", "cannot tell"]
    assert differences[2:] == [["UVLP (no-outliers)", "convnet-3", "1", *best, *last]]


def test_top_5_is_shown_from_twenty_classes_on() -> None:
    few = replace(TABLE, cells=(replace(RANDOM, validation_set="digits, 10 classes"),), comparisons=())
    assert "top-5" not in markdown(few) and "top-5 best" in markdown(TABLE)
    assert "99.1" in comma_separated(few), "the file has it all the same"


def test_screen_leads_with_a_sentence_per_method_and_keeps_the_remarks_of_the_run() -> None:
    lines = screen(TABLE).splitlines()
    assert lines[2] == (
        "UVLP (no-outliers) best 95.0, Random 92.0: +3.0 points, better (p < 0.001; 1 training; one training "
        "of each says nothing of others)"
    )
    assert len(grids(screen(TABLE))) == 1 and "- 50 % ± 1" in lines
    assert not any("intervals" in line or "Holm" in line for line in lines)


def test_no_verdict_is_printed_where_the_numbers_mean_nothing() -> None:
    """Neither is the explanation of verdicts; the stored files have both."""
    notes = ("profile nano: the numbers mean nothing", *on_comparisons(COMPARISONS))
    table = replace(TABLE, notes=notes)
    for text in (screen(table), markdown(printed(table)), latex(printed(table))):
        assert "better" not in text and "nothing" in text
    assert len(grids(screen(table))) == 1 and "better" in markdown(table)


@pytest.mark.parametrize(
    ("decided_by", "said"),
    [(12, "; about 12 would decide)"), (0, "; too few test images to decide)"), (None, "3 trainings)")],
)
def test_a_sentence_names_the_trainings_that_would_decide(decided_by: int | None, said: str) -> None:
    one = replace(COMPARISONS[0], basis="repeats", pairs=3, verdict="cannot tell", decided_by=decided_by)
    (sentence,) = sentences(replace(TABLE, comparisons=(one, COMPARISONS[1])))
    assert sentence.endswith(said)


def test_several_networks_have_a_sentence_each() -> None:
    """Named only where there are several."""
    others = [replace(each, network="resnet-10") for each in TABLE.cells]
    compared = [replace(each, network="resnet-10") for each in COMPARISONS]
    table = replace(TABLE, cells=(*TABLE.cells, *others), comparisons=(*COMPARISONS, *compared))
    starts = [line.partition(",")[0] for line in sentences(table)]
    assert starts == [f"UVLP (no-outliers) with {each}: best 95.0" for each in ("convnet-3", "resnet-10")]


def test_a_table_without_a_reference_says_how_to_get_one() -> None:
    (hint,) = sentences(replace(TABLE, cells=(UVLP,), comparisons=()))
    assert "random" in hint and hint in screen(replace(TABLE, cells=(UVLP,), comparisons=()))
    assert not sentences(replace(TABLE, cells=(RANDOM,), comparisons=()))


@pytest.mark.parametrize("part", ["main", "intervals", "differences"])
def test_latex_prints_one_part(part: str) -> None:
    text = latex(TABLE, part)
    assert text.count(r"\begin{tabular}") == text.count(r"\caption{") == text.count(r"\label{") == 1
    assert text.startswith(r"% needs \usepackage{booktabs")
    assert (r"\multicolumn{2}{c}{ConvNet-3}" in text) == (part == "main")


def test_every_row_of_a_markdown_grid_has_the_same_width() -> None:
    for grid in grids(markdown(TABLE)):
        assert len({len(row) for row in grid}) == 1
    lines = [line for line in markdown(TABLE).splitlines() if line.startswith("| Random  ")]
    assert len({line.count("|") for line in lines}) == len(lines) == 2


def test_markdown_contains_the_reference_and_the_notes() -> None:
    text = markdown(TABLE)
    assert "Difference from Random in points (95 % interval), paired image by image:" in text
    assert "- 50 % ± 1" in text


def test_notes_that_differ_in_a_count_are_printed_as_one() -> None:
    counts = ("DM: 9 of 1,000 pixels", "DM: 7 of 1,000 pixels", "DM: 8 of 1,000 pixels")
    notes = (*counts[:2], "DM: 7 of 900 pixels", "GLaD: 7 of 1,000 pixels", "set: a: 3 left out", counts[2])
    table = replace(TABLE, notes=(*notes, "set: a: 12 left out", "a: 3"))
    wanted = ["DM: 9, 7 and 8 of 1,000 pixels", *notes[2:4], "set: a: 3 and 12 left out", "a: 3"]
    for text, mark in ((markdown(table), "- "), (screen(table), "- "), (latex(table), "% ")):
        lines = [line for line in text.split("\n") if line.startswith(mark) and ": " in line]
        assert lines[: len(wanted)] == [mark + note for note in wanted]


@pytest.mark.parametrize(
    ("p_holm", "shown"),
    [
        (0.0, "< 0.001"),
        (0.00099, "< 0.001"),
        (0.001, "0.001"),
        (0.0421, "0.042"),
        (0.234, "0.23"),
        (1.0, "1.00"),
    ],
)
def test_p_values_are_rounded_by_size(p_holm: float, shown: str) -> None:
    assert comparison("best", 1.0, p_holm, "better").show_p() == shown


def test_empty_grids_are_omitted() -> None:
    alone = Table(name="t", caption="c", cells=(UVLP,), comparisons=(), notes=())
    assert len(grids(markdown(alone))) == latex(alone).count(r"\begin{tabular}") == 1


def test_bar_in_a_title_is_escaped() -> None:
    assert "a\\|b" in markdown(titled("a|b"))


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("**bold** _it_ my_set", r"\*\*bold\*\* \_it\_ my_set"),
        ("<script>x</script>", r"\<script>x\</script>"),
        ("`code` ~~gone~~ &amp;", r"\`code\` \~\~gone\~\~ \&amp;"),
        ("[a](b)", r"\[a\](b)"),
        ("two\nlines", "two lines"),
        (r"a\|b", r"a\\\|b"),
    ],
)
def test_names_are_escaped_in_markdown(title: str, shown: str) -> None:
    assert f"| {shown} " in markdown(titled(title))
    caption = Table(name="t", caption=title, cells=(UVLP,), comparisons=(), notes=(title,))
    assert markdown(caption).startswith(f"{shown}\n")
    assert f"\n- {shown}\n" in markdown(caption)


@pytest.mark.parametrize("sign", ["#", "-", "+", "1.", "1)"])
def test_line_beginnings_are_escaped_in_markdown(sign: str) -> None:
    table = Table(name="t", caption=f"{sign} x", cells=(UVLP,), comparisons=(), notes=(f"{sign} x",))
    escaped = f"{sign[:-1]}\\{sign[-1]} x"
    assert markdown(table).startswith(f"{escaped}\n")
    assert f"\n- {escaped}\n" in markdown(table)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("[b]", "{[}b{]}"),
        ("*x", "{*}x"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("a|b`", r"a\textbar{}b\textasciigrave{}"),
        ("a\nb", "a b"),
    ],
)
def test_row_beginnings_are_escaped_in_latex(title: str, shown: str) -> None:
    text = latex(titled(title))
    assert f"\n{shown} & 92.0" in text
    noted = latex(Table(name="t", caption="c", cells=(UVLP,), comparisons=(), notes=(title,)))
    assert f"\n% {shown}\n%" in noted


def test_every_cell_lists_its_scores() -> None:
    text = sources(TABLE)
    assert "random, convnet-3: scores/a, scores/b, scores/c" in text
    assert all(name in latex(TABLE) for cell in TABLE.cells for name in cell.scores)


def test_latex_escapes_and_balances() -> None:
    text = latex(TABLE)
    assert r"50 \% $\pm$ 1" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 3
    row = next(line for line in text.splitlines() if line.startswith("Random"))
    assert row == r"Random & 92.0 $\pm$ 2.0 & 91.0 $\pm$ 2.0 \\"
    assert r"$+3.0$ ($+1.0$ to $+5.0$) & $<$ 0.001 & better & $-0.3$ ($-2.3$ to $+1.7$) & 0.80 &" in text


def test_latex_rows_have_as_many_cells_as_columns() -> None:
    columns = 0
    for line in latex(TABLE).splitlines():
        if line.startswith(r"\begin{tabular}"):
            columns = len(line.split("{")[-1].strip("}"))
        elif line.endswith(r"\\"):
            spanned = line.count(r"\multicolumn{2}")
            assert line.count(" & ") + 1 + spanned == columns


def test_size_of_soft_labels_stands_beside_the_accuracy(tmp_path: Path) -> None:
    soft = replace(TABLE, cells=(replace(RANDOM, soft_label_mb=0.6), replace(UVLP, soft_label_mb=58.72)))
    means = grids(markdown(soft))[0]
    assert means[0][-1] == "soft labels, MB" and [row[-1] for row in means[2:]] == ["0.6", "58.7"]
    lines = [line for line in latex(soft, "main").splitlines() if line.endswith(r"\\")]
    assert lines[0].endswith(r"& Soft labels \\") and lines[1].endswith(r"& MB \\")
    assert {line.count(" & ") + line.count(r"\multicolumn{2}") for line in lines} == {3}
    write(tmp_path, soft, texts(soft))
    assert read(tmp_path) == soft
    write(tmp_path, TABLE, texts(TABLE))
    assert "soft_label" not in (tmp_path / "table.json").read_text(encoding="utf-8")
    assert "soft labels" not in markdown(TABLE)


def test_latex_titles_cannot_break_the_table() -> None:
    expected = r"my\_set \textbackslash{} 50\% \{x\}\textasciicircum{}\textasciitilde{} \& $<$y$>$ & 92.0"
    assert expected in latex(titled(r"my_set \ 50% {x}^~ & <y>"))


def test_hyphens_in_names_are_not_minus_signs() -> None:
    assert "ConvNet-3" in latex(TABLE) and "$-3$" not in latex(TABLE)


def test_csv_has_unrounded_values_of_every_training() -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(TABLE))))
    assert [row["best_pct"] for row in rows] == ["90.0", "92.0", "94.0", "95.04"]
    assert [row["repeat"] for row in rows] == ["1", "2", "3", "1"]
    assert [row["top5_last_pct"] for row in rows] == ["98.0", "98.1", "98.2", ""]
    assert {(row["validation_set"], row["validation_images"]) for row in rows} == {
        ("cifar100, 100 classes", "490")
    }


def test_json_contains_number_deviation_and_interval(tmp_path: Path) -> None:
    tables.write(tmp_path, TABLE, texts(TABLE))
    best = json.loads((tmp_path / "table.json").read_text())["cells"][0]["best"]
    stated = ("trainings", "mean_pct", "std_pct", "ddof", "low_pct", "high_pct")
    assert {name: best[name] for name in stated} == {
        "trainings": 3,
        "mean_pct": 92.0,
        "std_pct": 2.0,
        "ddof": 1,
        "low_pct": 87.0,
        "high_pct": 97.0,
    }


def test_written_grids_read_back_equal(tmp_path: Path) -> None:
    tables.write(tmp_path, TABLE, texts(TABLE))
    assert tables.read(tmp_path) == TABLE
    assert {path.name for path in tmp_path.iterdir()} == {"table.json", *tables.FORMATS.values()}


def test_table_of_an_earlier_schema_can_be_listed(tmp_path: Path) -> None:
    old = {"method": "random", "best_pct": [1.0], "last_pct": [1.0], "scores": ["scores/a"]}
    content = {"name": "digits-ipc10", "caption": "digits", "cells": [old], "notes": ["n"]}
    (tmp_path / "table.json").write_text(json.dumps(content))
    table = tables.read(tmp_path)
    assert (table.name, table.caption, table.cells, table.notes) == ("digits-ipc10", "digits", (), ("n",))


def test_latex_is_scaled_to_a_text_column_if_it_is_wider() -> None:
    text = latex(TABLE, "all")
    assert text.startswith(r"% needs \usepackage{booktabs,graphicx}" + "\n")
    assert text.count(r"\ifdim\width>\columnwidth") == text.count(r"\end{tabular}}") == 3


def test_latex_label_of_any_name_is_a_label() -> None:
    assert r"\label{tab:mine-50--x}" in latex(replace(TABLE, name="mine 50%{x"), "main")
