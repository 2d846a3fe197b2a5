"""`uvlp report`: a page about finished runs; `uvlp figure`: one of its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from uvlp.cli import completion
from uvlp.cli.options import VERBOSITY, Many, Options, argument, how_option, output_option, path_option, takes
from uvlp.core.display import messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from uvlp.artifacts.store import Store
    from uvlp.core.progress import Event
    from uvlp.report.page import Report
    from uvlp.report.run import Open, Run

RunsArgument = Annotated[
    Many,
    argument(
        metavar="[RUN]...",
        autocompletion=completion.tables,
        help="names or keys of tables in the store [the newest]",
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    how_option(
        "--data",
        metavar="DIR",
        callback=path_option,
        help="folder of datasets, for real images [$UVLP_DATA or ./uvlp_data]",
    ),
]
PageOption = Annotated[
    str,
    output_option(
        "--out",
        metavar="FILE",
        callback=path_option,
        help="the page to write",
        show_default=True,
    ),
]
FiguresOption = Annotated[
    str | None,
    output_option(
        "--figures",
        metavar="DIR",
        callback=path_option,
        help="write every figure into this folder too, as SVG, PDF and PNG",
    ),
]


@takes("store", *VERBOSITY)
def report(
    options: Options,
    runs: RunsArgument = None,
    out: PageOption = "report.html",
    figures: FiguresOption = None,
    data: DataOption = None,
) -> None:
    """Write one HTML page about finished runs: accuracy, images, maps, settings; it loads nothing.

    Example: uvlp report digits-ipc10 --out digits.html
    """
    from uvlp.core.progress import Progress
    from uvlp.core.wording import byte_size
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.report import output, page

    path = output.target("--out", out, (".html", ".htm"))
    if figures is not None:
        check_figures_folder(figures)
    opened = store_at(options["store"])
    found = chosen(runs or [], opened)
    progress = Progress(_print, "report")
    made = page.build(found, opener(data, opened), progress)
    opened.save_verified()
    text = page.html(made, progress).encode()
    output.write(path, text)
    print(f"{path} ({byte_size(len(text))})")
    if figures is not None:
        for written in _write_figures(figures, made):
            print(written)


def _print(event: Event) -> None:
    """Print a message, or how many sections are done."""
    kind, text = ("note", event.message) if event.message else ("done", f"{event.done}/{event.total}")
    messages.report(kind, f"{event.label}: {text}")


def chosen(names: Sequence[str], store: Store) -> list[Run]:
    """Return the runs of the given names, or the newest.

    Raises:
        UvlpError: no such run, several of a name, a damaged one, or no finished run.
    """
    from uvlp.pipeline import stored_tables
    from uvlp.report.run import Run

    found = [stored_tables.find_run(name, store) for name in names] or [stored_tables.newest(store)]
    unique = {each.key: each for each in found}
    same = [each.name for each in unique.values()]
    return [
        Run(name=each.full_name if same.count(each.name) > 1 else each.name, key=key, store=store)
        for key, each in unique.items()
    ]


def opener(data: str | None, store: Store) -> Open:
    """Return a function that opens the dataset of a run by its location and content hash."""
    from uvlp.core.progress import Progress, print_message
    from uvlp.pipeline.datasets import open_dataset
    from uvlp.pipeline.verification.datasets import spec_of

    def open_at(place: str, content_hash: str) -> object:
        progress = Progress(print_message, place)
        return open_dataset(spec_of(place, data or ""), store.cache, progress, content_hash)

    return open_at


def check_figures_folder(name: str) -> None:
    """Refuse a folder that cannot be one, before anything is computed.

    Raises:
        UvlpError: it is a file, or cannot be written.
    """
    from uvlp.core.files.paths import check_folder, expand_home
    from uvlp.report import output

    folder = check_folder("folder of figures", expand_home(name), "--figures DIR")
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix in (".svg", ".pdf", ".png"):
                output.check(path)
    output.check(folder / "accuracy.svg")


def _write_figures(name: str, made: Report) -> list[Path]:
    """Write every figure in every format; return the SVG files."""
    from uvlp.core.files.paths import expand_home
    from uvlp.report import charts, output

    folder, written = expand_home(name), []
    for title, chart in made.figures:
        drawn = charts.svg(chart, exported=True)
        for form in charts.FORMATS:
            path = folder / f"{title}.{form}"
            output.write(path, output.marked(charts.file_bytes(drawn, form), form))
        written.append(folder / f"{title}.svg")
    return written
