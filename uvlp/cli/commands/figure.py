"""`uvlp figure`: one figure of the report as a file, e.g. for a slide."""

from __future__ import annotations

from typing import Annotated

from uvlp.cli.commands.report import DataOption, RunsArgument, chosen, opener
from uvlp.cli.options import VERBOSITY, Options, argument, output_option, path_option, takes

NameArgument = Annotated[
    str,
    argument(
        metavar="NAME",
        help="images (a panel per method with class names), accuracy, curves, map, fisher, diagnostics, "
        "classes, cost; of several runs: runs, ipc",
    ),
]
FileOption = Annotated[
    str,
    output_option(
        "--out",
        metavar="FILE",
        callback=path_option,
        help="the file to write: .svg, .pdf or .png",
    ),
]


@takes("store", *VERBOSITY)
def figure(
    name: NameArgument,
    options: Options,
    runs: RunsArgument = None,
    out: FileOption = "figure.png",
    data: DataOption = None,
) -> None:
    """Draw one figure of finished runs into a file, with titles.

    Example: uvlp figure images digits-ipc10 --out fig.png
    """
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.report import charts, output, sections
    from uvlp.report.pictures import Pictures

    sections.check_figure(name)
    path = output.target("--out", out, tuple(f".{form}" for form in charts.FORMATS))
    opened = store_at(options["store"])
    found = chosen(runs or [], opened)
    open_dataset = opener(data, opened)
    pictures = [Pictures(run, open_dataset) for run in found]
    chart = sections.figure(name, found, pictures)
    form = path.suffix.lower().removeprefix(".")
    content = charts.file_bytes(charts.svg(chart, exported=True), form)
    output.write(path, output.marked(content, form))
    print(path)
