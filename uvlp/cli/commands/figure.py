"""`uvlp figure`: one figure of the report as a file, e.g. for a slide."""

from __future__ import annotations

from typing import Annotated

import typer

from uvlp.cli.commands.report import DataOption, RunsArgument, chosen, opener
from uvlp.cli.options import OUTPUT, WHAT, DebugOption, StoreOption, path_option

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="images (a panel per method with class names), accuracy, curves, map, fisher, diagnostics, "
        "classes, cost; of several runs: runs, ipc",
        rich_help_panel=WHAT,
    ),
]
FileOption = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="FILE",
        callback=path_option,
        help="the file to write: .svg, .pdf or .png",
        rich_help_panel=OUTPUT,
    ),
]


def figure(
    name: NameArgument,
    runs: RunsArgument = None,
    out: FileOption = "figure.png",
    data: DataOption = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Draw one figure of finished runs into a file, with titles.

    Example: uvlp figure images digits-ipc10 --out fig.png
    """
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.report import charts, output, sections
    from uvlp.report.pictures import Pictures

    sections.check_figure(name)
    path = output.target("--out", out, tuple(f".{form}" for form in charts.FORMATS))
    opened = store_at(store)
    found = chosen(runs or [], opened)
    open_dataset = opener(data, opened)
    pictures = [Pictures(run, open_dataset) for run in found]
    chart = sections.figure(name, found, pictures)
    form = path.suffix.lower().removeprefix(".")
    content = charts.file_bytes(charts.svg(chart, exported=True), form)
    output.write(path, output.marked(content, form))
    print(path)
