"""`uvlp table`: print a table from the store."""

from __future__ import annotations

from typing import Annotated

import typer

from uvlp.cli.options import OUTPUT, WHAT, DebugOption, StoreOption

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="a measured table such as digits-ipc10; see `uvlp list tables`",
        rich_help_panel=WHAT,
    ),
]
FormatOption = Annotated[
    str, typer.Option("--format", metavar="NAME", help="markdown, latex or csv", rich_help_panel=OUTPUT)
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
    form: FormatOption = "markdown",
    against: AgainstOption = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Print a table from the store.

    Example: uvlp table digits-ipc10 --format latex
    """
    from uvlp.artifacts import tables
    from uvlp.cli.request import store_at
    from uvlp.core.errors import unknown_name
    from uvlp.pipeline import stored_tables

    if form not in tables.FORMATS:
        raise unknown_name("format", form, tables.FORMATS)
    print(stored_tables.render(name, form, against, store_at(store)), end="")
