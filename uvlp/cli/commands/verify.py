"""`uvlp verify`: check a finished store, or an unpacked part of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli import completion
from uvlp.cli.options import (
    HOW,
    WHAT,
    DebugOption,
    JsonOption,
    StoreOption,
    WorkersOption,
    counted,
    path_option,
)

if TYPE_CHECKING:
    from uvlp.pipeline.verification.report import Check

SHOWN = 20
"""Lines of one kind below a check; `--json` has all."""
REASONS = 2
"""Reasons that the last line names; all stand with their checks."""
TableArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TABLE]",
        autocompletion=completion.tables,
        help="name or key of one table, checked with what is behind it [everything]",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR",
        callback=path_option,
        help="compare with the datasets themselves, the named ones in this folder",
        rich_help_panel=WHAT,
    ),
]
RerunOption = Annotated[
    int | None,
    typer.Option(
        "--rerun",
        metavar="N",
        parser=counted("--rerun"),
        help="repeat N randomly chosen trainings and compare them",
        rich_help_panel=HOW,
    ),
]
DrawOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="S",
        parser=counted("--seed", 0),
        help="seed of the random choice [0]",
        rich_help_panel=HOW,
    ),
]


def verify(
    table: TableArgument = None,
    store: StoreOption = None,
    data: DataOption = None,
    rerun: RerunOption = None,
    seed: DrawOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a store against itself, its recipes, and what was published.

    Nothing in the store is changed. Exit code 2 if anything is wrong.

    Example: uvlp verify digits-ipc10 --rerun 3
    """
    from uvlp.core.scheduling.cards import Asked, parallel
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.pipeline.verification.again import Rerun
    from uvlp.pipeline.verification.verify import failure, verify

    asked = None
    if rerun is not None:
        asked = Rerun(count=rerun, seed=seed or 0, parallel=parallel(Asked(workers=workers)))
    root = store_at(store).root
    checks = verify(root, table, data, asked)
    if as_json:
        found = {"store": str(root), "table": table, "checks": [check.as_json() for check in checks]}
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for line in _lines(checks):
            print(line)
    wrong = failure(checks)
    if wrong is not None:
        raise wrong


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    """A line per check, below it what is wrong, what was not compared, and remarks; at the end the result."""
    for check in checks:
        yield f"{check.state:<11}  {check.name:<10}  {_result(check)}"
        yield from _below("FAIL", [one.show() for one in check.findings])
        if check.checked or check.findings:
            yield from _below("not checked", check.not_checked)
        yield from _below("note", check.remarks)
    if not any(check.findings for check in checks):
        yield _closing(checks)


def _result(check: Check) -> str:
    if check.findings:
        return f"does not hold: {check.what}"
    if check.checked:
        return check.what
    return f"nothing to compare{': ' * bool(check.skipped)}{'; '.join(check.not_checked)}"


def _closing(checks: Sequence[Check]) -> str:
    number = sum(check.skipped.total() for check in checks)
    if not number:
        return "Nothing wrong; everything checked"
    reasons = [reason for check in checks for reason in check.not_checked]
    more = [f"{len(reasons) - REASONS} more reasons above"] * (len(reasons) > REASONS)
    items = f"{number} item{'s' * (number != 1)} not checked"
    return f"Nothing wrong; {items} ({'; '.join([*reasons[:REASONS], *more])})"


def _below(title: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:SHOWN]:
        yield f"{'':<11}  {title}: {line}"
    if len(lines) > SHOWN:
        yield f"{'':<11}  {title}: and {len(lines) - SHOWN} more, see --json"
