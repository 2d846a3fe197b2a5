"""Labelled sheets of distilled images: a panel per method, a row per class."""

from __future__ import annotations

from functools import partial
from typing import Any

from uvlp.report import charts
from uvlp.report.blocks import Figure, Panel
from uvlp.report.pictures import Pictures, as_uri, evenly
from uvlp.report.run import Method, Run

CELL_PX = 26
CLASSES, COLUMNS = 10, 10
SIDE_PX = 40


def panel(run: Run, pictures: Pictures) -> Panel:
    """Return the section with one sheet per method."""
    result = Panel(
        id="images",
        title="Images",
        lead=f"Distilled images, seed {run.methods[0].seed}: a row per class, in the order of their slots. "
        "Captions stand with each image below, and as tooltips.",
    )
    widths = (CELL_PX * COLUMNS + 110,)
    for method in run.methods:
        cells = _cells(run, pictures, method)
        if cells:
            names = ", ".join(dict.fromkeys(cell["class"] for cell in cells))
            result.blocks.append(
                Figure(
                    name="images",
                    title=f"{method.title}, {method.cells[0].best.show()} %",
                    text=f"{len(cells)} images distilled by {method.title}, by class: {names}",
                    draw=partial(_draw, cells),
                    widths=widths,
                )
            )
        elif not pictures.entries(method):
            result.left_out.append(f"{method.title}: its images are no longer in the store.")
    count, ipc = len(run.class_names), run.ipc
    if count > CLASSES or ipc > COLUMNS:
        shown = f"{min(count, CLASSES)} of {count} classes, {min(ipc, COLUMNS)} of {ipc} images of each"
        result.left_out.append(f"A sheet shows {shown}.")
    return result


def _cells(run: Run, pictures: Pictures, method: Method) -> list[dict[str, Any]]:
    by_class = pictures.of_class(method)
    labels = sorted(by_class)
    chosen = [labels[index] for index in evenly(len(labels), CLASSES)]
    return [
        {
            "class": entry.class_name,
            "row": row,
            "slot": slot,
            "uri": as_uri(pictures.image(method, entry), SIDE_PX),
            "label": f"{entry.class_name}: {entry.text or entry.source or 'synthesised'}",
        }
        for row, label in enumerate(chosen)
        for slot, entry in enumerate(by_class[label][:COLUMNS])
    ]


def _draw(cells: list[dict[str, Any]], width: int) -> Any:
    """Pictures on a grid whose rows are named."""
    import altair

    names = {cell["row"]: cell["class"] for cell in cells}
    columns = 1 + max(cell["slot"] for cell in cells)
    labels = ", ".join(f"{row}: {_quoted(name)}" for row, name in names.items())
    axis = altair.Axis(
        labelExpr=f"({{{labels}}})[datum.value]", domain=False, ticks=False, labelLimit=100, labelPadding=8
    )
    base = altair.Chart(charts.values(cells))
    return (
        base.mark_image(width=CELL_PX - 2, height=CELL_PX - 2)
        .encode(
            x=altair.X("slot:O", axis=None, scale=altair.Scale(padding=0)),
            y=altair.Y("row:O", title=None, axis=axis, scale=altair.Scale(padding=0)),
            url="uri:N",
            description="label:N",
        )
        .properties(width=CELL_PX * columns, height=CELL_PX * len(names))
    )


def _quoted(name: str) -> str:
    """A string of Vega's expression language."""
    import json

    return json.dumps(name)
