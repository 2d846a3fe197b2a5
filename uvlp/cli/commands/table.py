"""`uvlp table`: print a published table, or one from the store."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli import completion
from uvlp.cli.options import HOW, OUTPUT, WHAT, DataOption, DebugOption, FullOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from uvlp.artifacts.store import Store

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        autocompletion=completion.tables,
        help="a published table such as nette-idc, a measured one such as digits-ipc10, or a key; see "
        "`uvlp list tables`",
        rich_help_panel=WHAT,
    ),
]
MeasuredOption = Annotated[
    bool,
    typer.Option(
        "--measured",
        help="print the measured table if a published one has the same name",
        rich_help_panel=WHAT,
    ),
]
FillOption = Annotated[
    bool,
    typer.Option("--fill", help="first measure the missing cells of a published table", rich_help_panel=HOW),
]
FormatOption = Annotated[
    str, typer.Option("--format", metavar="NAME", help="markdown, latex or csv", rich_help_panel=OUTPUT)
]
PartOption = Annotated[
    str,
    typer.Option(
        "--part",
        metavar="NAME",
        help="of LaTeX: main, intervals, differences or all; of CSV: main or differences",
        rich_help_panel=OUTPUT,
    ),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="METHOD",
        help="compare with this method of the table [random]",
        rich_help_panel=OUTPUT,
    ),
]


def table(
    name: NameArgument,
    measured: MeasuredOption = False,
    fill: FillOption = False,
    data: DataOption = None,
    form: FormatOption = "markdown",
    part: PartOption = "main",
    against: AgainstOption = None,
    full: FullOption = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Print a table: published numbers with what was measured beside them, or a run of the store.

    Example: uvlp table nette-idc --format latex
    """
    from uvlp.artifacts import tables
    from uvlp.core.errors import UvlpError, unknown_name
    from uvlp.pipeline import stored_tables
    from uvlp.pipeline.published import show
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.tables import published
    from uvlp.tables.table import CSV_PARTS, PARTS

    for value, allowed, what in ((form, tables.FORMATS, "format"), (part, PARTS, "part")):
        if value not in allowed:
            raise unknown_name(what, value, allowed)
    if form == "csv" and part not in CSV_PARTS:
        raise UvlpError("--part of CSV", got=part, allowed=", ".join(CSV_PARTS))
    if as_json and (form != "markdown" or against is not None or full):
        what = "--json prints the whole table"
        raise UvlpError(what, got="--format, --against or --full", fix="leave them out")
    opened = store_at(store)
    if measured or name not in published.TABLES:
        if fill:
            raise UvlpError("--fill of a measured table", got=name, allowed=", ".join(published.TABLES))
        if as_json:
            found = stored_tables.find(name, opened)
            print(tables.as_json(tables.read(opened.root / tables.KIND / found.key)), end="")
            return
        print(stored_tables.render(name, form, part, against, opened, full=full), end="")
        return
    if against is not None:
        fix = f"leave it out, or add --measured for a run called {name}"
        raise UvlpError("--against with a published table", got=against, fix=fix)
    if fill:
        _fill(name, data, opened)
    if as_json:
        print(show.as_json(show.read(name, opened)))
        return
    print(show.render(name, form, opened), end="")


def _fill(name: str, data: str | None, opened: Store) -> None:
    """Run every command that measures missing cells of the table."""
    from uvlp.cli.run import Execution, run
    from uvlp.core import streams
    from uvlp.pipeline.published import show
    from uvlp.pipeline.published.runs import SEEDS
    from uvlp.recipes.requests.request import Request

    for each in show.missing(show.read(name, opened)):
        streams.print_error(f"run    uvlp {each.options}{each.seeds}")
        request = Request(
            dataset=each.dataset,
            ipc=each.ipc,
            methods=each.methods,
            networks=each.networks,
            seeds=SEEDS,
            data=data,
            store=str(opened.root),
        )
        with contextlib.redirect_stdout(sys.stderr):  # only the table is the result
            run(request, "tabulate", Execution())
