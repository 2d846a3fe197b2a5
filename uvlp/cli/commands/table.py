"""`uvlp table`: print a published table, or one from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from uvlp.cli import completion
from uvlp.cli.options import VERBOSITY, Options, argument, how_option, output_option, takes, what_option
from uvlp.cli.printing import screen

if TYPE_CHECKING:
    from uvlp.artifacts.store import Store

NameArgument = Annotated[
    str,
    argument(
        metavar="NAME",
        autocompletion=completion.tables,
        help="a published table such as nette-idc, a measured one such as digits-ipc10, or a key; see "
        "`uvlp list tables`",
    ),
]
MeasuredOption = Annotated[
    bool,
    what_option(
        "--measured",
        help="print the measured table if a published one has the same name",
    ),
]
FillOption = Annotated[
    bool,
    how_option("--fill", help="first measure the missing cells of a published table"),
]
FormatOption = Annotated[str, output_option("--format", metavar="NAME", help="markdown, latex or csv")]
PartOption = Annotated[
    str,
    output_option(
        "--part",
        metavar="NAME",
        help="of LaTeX: main, intervals, differences or all; of CSV: main or differences",
    ),
]
AgainstOption = Annotated[
    str | None,
    output_option(
        "--against",
        metavar="METHOD",
        help="compare with this method of the table [random]",
    ),
]


@takes("data", "full", "as_json", "store", *VERBOSITY)
def table(
    name: NameArgument,
    options: Options,
    measured: MeasuredOption = False,
    fill: FillOption = False,
    form: FormatOption = "markdown",
    part: PartOption = "main",
    against: AgainstOption = None,
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
    if options["as_json"] and (form != "markdown" or against is not None or options["full"]):
        what = "--json prints the whole table"
        raise UvlpError(what, got="--format, --against or --full", fix="leave them out")
    opened, as_json, full = store_at(options["store"]), options["as_json"], options["full"]
    if measured or name not in published.TABLES:
        if fill:
            raise UvlpError("--fill of a measured table", got=name, allowed=", ".join(published.TABLES))
        if as_json:
            found = stored_tables.find(name, opened)
            print(tables.as_json(tables.read(opened.root / tables.KIND / found.key)), end="")
            return
        _print(stored_tables.render(name, form, part, against, opened, full=full), form)
        return
    if against is not None:
        fix = f"leave it out, or add --measured for a run called {name}"
        raise UvlpError("--against with a published table", got=against, fix=fix)
    if fill:
        _fill(name, options["data"], opened)
    if as_json:
        print(show.as_json(show.read(name, opened)))
        return
    _print(show.render(name, form, opened), form)


def _print(text: str, form: str) -> None:
    if form == "markdown":
        screen.show(text.removesuffix("\n"))
    else:
        print(text, end="")


def _fill(name: str, data: str | None, opened: Store) -> None:
    """Run every command that measures missing cells of the table."""
    from uvlp.cli.run import Execution, run_aside
    from uvlp.core.display import messages
    from uvlp.pipeline.published import show
    from uvlp.pipeline.published.runs import SEEDS
    from uvlp.recipes.requests.request import Request

    for each in show.missing(show.read(name, opened)):
        messages.report("run", f"uvlp {each.options}{each.seeds}")
        request = Request(
            dataset=each.dataset,
            ipc=each.ipc,
            methods=each.methods,
            networks=each.networks,
            seeds=SEEDS,
            data=data,
            store=str(opened.root),
        )
        run_aside(request, "tabulate", Execution())  # only the table is the result
