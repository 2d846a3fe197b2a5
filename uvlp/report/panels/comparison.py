"""Several runs beside each other, and accuracy against images per class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from uvlp.report import charts
from uvlp.report.blocks import Block, Figure, Grid, Panel
from uvlp.report.panels.accuracy import LABELS_PX
from uvlp.report.run import Run
from uvlp.tables import published

PUBLISHED = "published"


def panel(runs: Sequence[Run]) -> Panel:
    """Return the section; without blocks for one run of which nothing is published at another IPC."""
    blocks: list[Block] = []
    if len(runs) > 1:
        rows = list(_side_by_side(runs))
        blocks.append(
            Figure(
                name="runs",
                title="Best accuracy by run",
                text="Best accuracy of each method in each run: " + "; ".join(row["label"] for row in rows),
                draw=partial(_draw_runs, rows),
            )
        )
        blocks.append(_table(runs))
    points = list(_points(runs))
    if len({point["ipc"] for point in points}) > 1:
        blocks.append(
            Figure(
                name="ipc",
                title="Accuracy against images per class",
                text="Best accuracy against images per class: "
                + "; ".join(point["label"] for point in points),
                draw=partial(_draw_ipc, points),
            )
        )
    lead = "Best accuracy, mean and 95 % interval, with the first network of each run."
    return Panel(id="comparison", title="Runs and images per class", lead=lead, blocks=blocks)


def _side_by_side(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    for run in runs:
        for method in run.methods:
            best = method.cells[0].best
            yield {
                "run": run.name,
                "method": method.title,
                "mean": best.mean_pct,
                "low": best.low_pct,
                "high": best.high_pct,
                "label": f"{method.title}, {run.name}: {best.show()}",
            }


def _table(runs: Sequence[Run]) -> Grid:
    titles = list(dict.fromkeys(method.title for run in runs for method in run.methods))
    by_run = [{method.title: method.cells[0].best.show() for method in run.methods} for run in runs]
    rows = [[title, *(shown.get(title, "") for shown in by_run)] for title in titles]
    return Grid(caption="Best accuracy, %", header=["method", *(run.name for run in runs)], rows=rows)


def _points(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Measured points, then the published ones of the same methods at every IPC."""
    kept: set[tuple[str, str, int]] = set()
    for run in (each for each in runs if each.ipc):
        for method in run.methods:
            cell = method.cells[0]
            if method.name == "full":
                continue
            yield {
                "method": cell.title,
                "kind": "measured" if len({each.place for each in runs}) == 1 else run.place,
                "ipc": run.ipc,
                "mean": cell.best.mean_pct,
                "low": cell.best.low_pct,
                "high": cell.best.high_pct,
                "label": f"{cell.title} at {run.ipc}: {cell.best.show()}",
            }
            for one in _published(run, method.name, cell.network):
                if (one.method, one.source, one.ipc) not in kept:
                    kept.add((one.method, one.source, one.ipc))
                    yield {
                        "method": cell.title,
                        "kind": PUBLISHED,
                        "ipc": one.ipc,
                        "mean": one.mean_pct,
                        "low": one.mean_pct - one.std_pct,
                        "high": one.mean_pct + one.std_pct,
                        "label": f"{cell.title} at {one.ipc}, published: {one.show()}",
                    }


def _published(run: Run, method: str, network: str) -> list[published.Published]:
    name = run.place.partition(":")[0].split(" ")[0]
    every = sorted({cell.ipc for cell in published.cells()})
    return [one for ipc in every for one in published.find(name, ipc, method, network, run.protocol)]


def _draw_runs(rows: list[dict[str, Any]], width: int) -> Any:
    import altair

    methods = list(dict.fromkeys(row["method"] for row in rows))
    runs = list(dict.fromkeys(row["run"] for row in rows))
    base = altair.Chart(charts.values(rows)).encode(
        y=altair.Y("method:N", sort=methods, title=None, axis=altair.Axis(domain=False, ticks=False)),
        yOffset=altair.YOffset("run:N", sort=runs, scale=altair.Scale(paddingOuter=0.3)),
        color=altair.Color(
            "run:N", scale=charts.colours(runs), title=None, legend=altair.Legend(columns=1, labelLimit=300)
        ),
    )
    x = altair.Scale(zero=False, nice=True)
    spread = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.65)
    layers = (
        spread.encode(x=altair.X("low:Q", scale=x, title="best accuracy, %"), x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=altair.X("mean:Q", scale=x, title="best accuracy, %"), description="label:N"
        ),
    )
    height = (16 + 14 * len(runs)) * len(methods)
    return altair.layer(*layers).properties(width=width - LABELS_PX, height=height)


def _draw_ipc(points: list[dict[str, Any]], width: int) -> Any:
    import altair

    methods = list(dict.fromkeys(point["method"] for point in points))
    kinds = list(dict.fromkeys(point["kind"] for point in points))
    base = altair.Chart(charts.values(points)).encode(
        x=altair.X(
            "ipc:Q", title="images per class", scale=altair.Scale(type="log", nice=False, padding=16),
            axis=altair.Axis(values=sorted({point["ipc"] for point in points}), format="d"),
        ),
        color=altair.Color("method:N", scale=charts.colours(methods), title=None),
    )  # fmt: skip
    y = altair.Scale(zero=False)
    dash = altair.StrokeDash(
        "kind:N", sort=kinds, title=None, scale=altair.Scale(domain=kinds, range=_dashes(kinds))
    )
    layers = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(opacity=0.6)
        .encode(y=altair.Y("low:Q", scale=y, title="best accuracy, %"), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=altair.Y("mean:Q", scale=y), strokeDash=dash),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=altair.Y("mean:Q", scale=y), description="label:N"
        ),
    )
    return altair.layer(*layers).properties(width=width - 60, height=300)


def _dashes(kinds: Sequence[str]) -> list[list[int]]:
    usual = [[1, 0], [8, 2], [4, 2], [8, 2, 2, 2]]
    return [[2, 3] if kind == PUBLISHED else usual[index % 4] for index, kind in enumerate(kinds)]
