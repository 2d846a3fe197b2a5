"""`uvlp status`: what the runs of a store have done, do, and still have to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from uvlp.cli.options import WHAT, DebugOption, JsonOption, StoreOption

LISTED = 10
"""Runs that are listed; `--json` has the names of all."""
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="name of a run, or its beginning [all, and the newest one in full]",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]


def status(
    run: RunArgument = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what a run has done, does and still has to do, while it lasts and afterwards.

    Example: uvlp status
    """
    from uvlp.cli.printing import status as printing
    from uvlp.core.files.paths import check_folder, store_folder
    from uvlp.pipeline.runs import files, reading

    root = check_folder("store", store_folder(store), "--store DIR").absolute()
    found = reading.read(root, reading.find(root, run))
    if as_json:
        values: dict[str, Any] = printing.json_values(found)
        print(json.dumps({**values, "runs": files.names(root)}, indent=1, ensure_ascii=False))
        return
    width = shutil.get_terminal_size((100, 24)).columns
    names = files.names(root)
    if run is None and len(names) > 1:
        for line in printing.listed([_summary(root, name) for name in names[-LISTED:]], width):
            print(line)
        print()
    for line in printing.lines(found, width):
        print(line)


def _summary(root: Path, name: str) -> tuple[str, str, str]:
    """Name, state and command of a run."""
    from uvlp.core.errors import UvlpError
    from uvlp.pipeline.runs import files, reading

    folder = root / files.FOLDER / name
    try:
        header = reading.header(folder)
    except UvlpError:
        return name, "damaged", ""
    state = reading.outcome(folder) or ("running" if header.process.is_here else "unknown")
    return name, state, header.command
