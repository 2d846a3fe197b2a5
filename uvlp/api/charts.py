"""Charts of results, drawn by altair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uvlp.artifacts.tables import Table
from uvlp.report.charts import colours, values

PASSES = ("best", "last")
ROW_PX, WIDTH_PX = 34, 420
ACCURACY = "accuracy, percent"


def accuracies(table: Table) -> Any:
    """Return means with 95 % intervals by method, one chart per network; ticks are single trainings."""
    import altair

    rows = list(_rows(table))
    methods = [table.title(method) for method in table.rows]
    method = altair.Y("method:N", sort=methods, title=None)
    colour = altair.Color("pass:N", title=None, scale=colours(list(PASSES)))
    offset = altair.YOffset("pass:N", sort=list(PASSES))
    scale = altair.Scale(zero=False)
    base = altair.Chart(values(rows)).encode(y=method, color=colour, yOffset=offset)
    whole, single = "!isValid(datum.training)", "isValid(datum.training)"
    x = altair.X("accuracy:Q", title=ACCURACY, scale=scale)
    bars = base.transform_filter(whole).mark_rule().encode(x=altair.X("low:Q", scale=scale), x2="high:Q")
    dots = base.transform_filter(whole).mark_point(filled=True, size=50).encode(x=x)
    ticks = base.transform_filter(single).mark_tick(opacity=0.45, size=8).encode(x=x)
    chart = (bars + ticks + dots).properties(width=WIDTH_PX, height=ROW_PX * len(methods))
    return chart.facet(row=altair.Row("network:N", title=None)) if len(table.networks) > 1 else chart


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for cell in table.cells:
        for which in PASSES:
            summary, single = getattr(cell, which), getattr(cell, f"{which}_pct")
            common = {"method": cell.title, "network": cell.network, "pass": which}
            yield {**common, "accuracy": summary.mean_pct, "low": summary.low_pct, "high": summary.high_pct}
            for number, accuracy in enumerate(single):
                yield {**common, "accuracy": accuracy, "training": number}


def published(rows: Sequence[Mapping[str, str]]) -> Any:
    """Return published means, and measured ones where there are some, by method, dataset and IPC."""
    import altair

    points = [
        {
            "method": row["method"],
            "of": f"{row['dataset']}, IPC {row['ipc']}, {row['network']}",
            "accuracy": float(row[column]),
            "kind": kind,
        }
        for row in rows
        for kind, column in (("published", "published_mean"), ("measured", "measured_mean"))
        if row[column]
    ]
    chart = altair.Chart(values(points)).mark_point(filled=True, size=60)
    return chart.encode(
        x=altair.X("accuracy:Q", title=ACCURACY, scale=altair.Scale(zero=False)),
        y=altair.Y("method:N", title=None),
        color=altair.Color("kind:N", title=None, scale=colours(["published", "measured"])),
        row=altair.Row("of:N", title=None),
    ).properties(width=WIDTH_PX)


def sheet(images: Sequence[tuple[str, str, int]], side_px: int = 48) -> Any:
    """Return images in a grid: a class per row; each is its data URI, its class and its column."""
    import altair

    rows = [{"url": url, "class": name, "column": column} for url, name, column in images]
    names = list(dict.fromkeys(row["class"] for row in rows))
    columns = 1 + max(column for _, _, column in images)
    chart = altair.Chart(values(rows)).mark_image(width=side_px, height=side_px)
    return chart.encode(
        x=altair.X("column:O", axis=None), y=altair.Y("class:N", sort=names, title=None), url="url:N"
    ).properties(width=columns * (side_px + 4), height=len(names) * (side_px + 4))
