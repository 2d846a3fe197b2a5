"""`uvlp status`: what the runs of a store have done, do, and still have to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

from uvlp.cli import completion
from uvlp.cli.options import Options, argument, takes

LISTED = 10
"""Runs that are listed; `--json` has the names of all."""
RunArgument = Annotated[
    str | None,
    argument(
        metavar="[RUN]",
        autocompletion=completion.runs,
        help="name of a run, or its beginning [all, and the newest one in full]",
        show_default=False,
    ),
]


@takes("store", "as_json", "debug")
def status(options: Options, run: RunArgument = None) -> None:
    """Show what a run has done, does and still has to do, while it lasts and afterwards.

    Example: uvlp status
    """
    from uvlp.cli.printing import status as printing
    from uvlp.core.files.paths import check_folder, store_folder
    from uvlp.pipeline.runs import files, launched, log, reading

    root = check_folder("store", store_folder(options["store"]), "--store DIR").absolute()
    found = launched.read(root, reading.find(root, run))
    where = log.find(root, found.header.process, found.header.at_s)
    if options["as_json"]:
        values: dict[str, Any] = printing.json_values(found)
        values |= {"log": str(where) if where else None, "runs": files.names(root)}
        print(json.dumps(values, indent=1, ensure_ascii=False))
        return
    width = shutil.get_terminal_size((100, 24)).columns
    names = files.names(root)
    if run is None and len(names) > 1:
        for line in printing.listed([_summary(root, name) for name in names[-LISTED:]], width):
            print(line)
        print()
    for line in printing.lines(found, width):
        print(line)
    if where is not None:
        print(f"log: {where}")


def _summary(root: Path, name: str) -> tuple[str, str, str]:
    """Name, state and command of a run."""
    from uvlp.core.errors import UvlpError
    from uvlp.pipeline.runs import files, launched, reading

    folder = root / files.FOLDER / name
    try:
        header = reading.header(folder)
    except UvlpError:
        return name, "damaged", ""
    if header.launcher:
        return name, launched.read(root, name).state, header.command
    state = reading.outcome(folder) or ("running" if header.process.is_here else "unknown")
    return name, state, header.command
