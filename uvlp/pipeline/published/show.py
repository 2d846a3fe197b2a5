"""Output of published tables."""

from __future__ import annotations

import json

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import plain
from uvlp.core import plugins
from uvlp.core.errors import unknown_name
from uvlp.pipeline.published import measured, runs
from uvlp.tables import paper_texts, published
from uvlp.tables.paper import PaperTable


def read(name: str, store: Store) -> PaperTable:
    """Return a published table with its measured cells from the store.

    Raises:
        UvlpError: no such table.
    """
    cells = published.table(name)
    return PaperTable(name=name, cells=cells, measured=measured.find(cells, store))


def as_json(table: PaperTable) -> str:
    """Return the published cells, each with its measured one or null."""
    cells = [
        {**plain(cell), "measured": plain(table.measured[cell]) if cell in table.measured else None}
        for cell in table.cells
    ]
    return json.dumps({"name": table.name, "cells": cells}, indent=1, ensure_ascii=False)


def missing(table: PaperTable) -> dict[runs.PublishedRun, list[published.Published]]:
    """Return the runs that measure missing cells of implemented methods."""
    return runs.runs(measured.missing(table.cells, table.measured, plugins.names("methods")))


def render(name: str, form: str, store: Store) -> str:
    """Format a published table in one of `artifacts.tables.FORMATS`.

    Raises:
        UvlpError: no such table or format.
    """
    table = read(name, store)
    if form == "latex":
        return paper_texts.latex(table)
    if form == "csv":
        return paper_texts.comma_separated(table)
    if form != "markdown":
        raise unknown_name("format", form, ("markdown", "latex", "csv"))
    here = plugins.names("methods")
    absent = [method for method in table.methods if method not in here]
    todo = measured.missing(table.cells, table.measured, here)
    return paper_texts.markdown(table, runs.commands(todo), absent)
