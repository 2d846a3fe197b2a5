"""Accuracy of every method with its interval, beside the published values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from uvlp.artifacts.tables import MEANINGLESS, Cell, Comparison
from uvlp.report import charts
from uvlp.report.blocks import Block, Figure, Grid, Panel
from uvlp.report.run import Run
from uvlp.tables import published
from uvlp.tables.published import Published
from uvlp.tables.verdicts import published_interval_pct

PASSES = ("best", "last", "published")
ROW_PX = 44
LABELS_PX = 120
"""Width of the names left of a chart."""


def panel(run: Run) -> Panel:
    """Return the section."""
    networks = run.table.networks
    blocks: list[Block] = []
    for network in networks:
        rows = list(_rows(run, network))
        shown = published.title(network)
        blocks.append(
            Figure(
                name="accuracy",
                title=f"Accuracy with {shown}",
                text=f"Accuracy of each method with {shown}, with intervals. " + _spoken(rows),
                draw=partial(draw, rows),
            )
        )
    blocks.append(_table(run))
    lead = (
        f"{run.table.caption}. Dots are means over trainings with their 95 % interval, ticks single "
        "trainings. Best: the highest of all validation passes, as in the published tables; last: the "
        "final epoch."
    )
    result = Panel(id="accuracy", title="Accuracy", lead=lead, blocks=blocks)
    if any(MEANINGLESS in note for note in run.table.notes):
        result.left_out.append("The schedules of this profile are for tests: the numbers mean nothing.")
    if not any(_published(run, cell) for cell in run.table.cells):
        result.left_out.append("Nothing is published for this dataset, IPC, protocol and network.")
    return result


def _published(run: Run, cell: Cell) -> list[Published]:
    name = run.place.partition(":")[0].split(" ")[0] if run.place else ""
    return published.find(name, run.ipc, cell.method, cell.network, run.protocol)


def _rows(run: Run, network: str) -> Iterator[dict[str, Any]]:
    """A row per method and pass, then one per published value."""
    for cell in (each for each in run.table.cells if each.network == network):
        for which in ("best", "last"):
            summary = getattr(cell, which)
            yield {
                "method": cell.title,
                "pass": which,
                "mean": round(summary.mean_pct, 3),
                "low": summary.low_pct,
                "high": summary.high_pct,
                "trainings": list(getattr(cell, f"{which}_pct")),
                "label": f"{cell.title}, {which}: {summary.show()} {summary.show_interval()}".strip(),
            }
        for one in _published(run, cell):
            low, high = published_interval_pct(one)
            yield {
                "method": cell.title,
                "pass": "published",
                "mean": one.mean_pct,
                "low": low,
                "high": high,
                "trainings": [],
                "label": f"{cell.title}, published: {one.show()}",
            }


def _spoken(rows: Sequence[dict[str, Any]]) -> str:
    return "; ".join(row["label"] for row in rows if row["pass"] != "last")


def draw(rows: list[dict[str, Any]], width: int) -> Any:
    """A row per method; passes beside each other."""
    import altair

    methods = list(dict.fromkeys(row["method"] for row in rows))
    passes = [each for each in PASSES if any(row["pass"] == each for row in rows)]
    single = [
        {"method": row["method"], "pass": row["pass"], "pct": pct} for row in rows for pct in row["trainings"]
    ]
    y = altair.Y("method:N", sort=methods, title=None, axis=altair.Axis(domain=False, ticks=False))
    offset = altair.YOffset("pass:N", sort=passes, scale=altair.Scale(paddingInner=0.2, paddingOuter=0.4))
    colour = altair.Color("pass:N", scale=charts.colours(passes), sort=passes, title=None)
    x = altair.Scale(zero=False, nice=True)
    title = "accuracy, %"
    base = altair.Chart(charts.values(rows)).encode(y=y, yOffset=offset, color=colour)
    spread = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.65)
    means = base.mark_point(filled=True, size=90, opacity=1)
    ticks = altair.Chart(charts.values(single)).mark_tick(thickness=1.5, size=9, opacity=0.8)
    layers = [
        spread.encode(x=altair.X("low:Q", scale=x, title=title), x2="high:Q"),
        ticks.encode(x=altair.X("pct:Q", scale=x, title=title), y=y, yOffset=offset, color=colour),
        means.encode(
            x=altair.X("mean:Q", scale=x, title=title),
            description="label:N",
            shape=altair.Shape("pass:N", sort=passes, title=None, scale=_shapes(passes)),
        ),
    ]
    return altair.layer(*layers).properties(width=width - LABELS_PX, height=ROW_PX * len(methods))


def _shapes(passes: list[str]) -> Any:
    import altair

    return altair.Scale(domain=passes, range=["circle", "square", "diamond"][: len(passes)])


def _table(run: Run) -> Grid:
    compared = {(each.method, each.network): each for each in run.table.comparisons if each.which == "best"}
    reference = next((each.reference for each in run.table.comparisons), "")
    against = f"against {run.table.title(reference)}" if reference and not run.table.ablations else ""
    header = ["method", "network", "best, %", "95 % interval", "last, %", "trainings", "published"]
    rows = []
    for cell in run.table.cells:
        row = [
            cell.title,
            published.title(cell.network),
            cell.best.show(),
            cell.best.show_interval() or "one training",
            cell.last.show(),
            str(cell.best.trainings),
            "; ".join(one.show() for one in _published(run, cell)) or "none",
        ]
        rows.append([*row, _compared(compared.get((cell.method, cell.network)))] if against else row)
    return Grid(
        caption="All numbers: mean ± sample standard deviation",
        header=[*header, against] if against else header,
        rows=rows,
    )


def _compared(comparison: Comparison | None) -> str:
    return "" if comparison is None else f"{comparison.show()}: {comparison.verdict}"
