"""`uvlp verify`: check a finished store, or an unpacked part of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from uvlp.cli import completion
from uvlp.cli.options import (
    VERBOSITY,
    Options,
    argument,
    counted,
    how_option,
    path_option,
    takes,
    what_option,
)

if TYPE_CHECKING:
    from uvlp.pipeline.verification.report import Check

SHOWN = 20
"""Lines of one kind below a check; `--json` has all."""
REASONS = 2
"""Reasons that the last line names; all stand with their checks."""
TableArgument = Annotated[
    str | None,
    argument(
        metavar="[TABLE]",
        autocompletion=completion.tables,
        help="name or key of one table, checked with what is behind it [everything]",
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    what_option(
        "--data",
        metavar="DIR",
        callback=path_option,
        help="compare with the datasets themselves, the named ones in this folder",
    ),
]
RerunOption = Annotated[
    int | None,
    how_option(
        "--rerun",
        metavar="N",
        parser=counted("--rerun"),
        help="repeat N randomly chosen trainings and compare them",
    ),
]
DrawOption = Annotated[
    int | None,
    how_option(
        "--seed",
        metavar="S",
        parser=counted("--seed", 0),
        help="seed of the random choice [0]",
    ),
]


@takes("store", "workers", "as_json", *VERBOSITY)
def verify(
    options: Options,
    table: TableArgument = None,
    data: DataOption = None,
    rerun: RerunOption = None,
    seed: DrawOption = None,
) -> None:
    """Check a store against itself, its recipes, and what was published.

    Nothing in the store is changed. Exit code 2 if anything is wrong.

    Example: uvlp verify digits-ipc10 --rerun 3
    """
    from uvlp.cli.printing import screen
    from uvlp.core.scheduling.cards import Asked, parallel
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.pipeline.verification.again import Rerun
    from uvlp.pipeline.verification.verify import failure, verify

    asked = None
    if rerun is not None:
        asked = Rerun(count=rerun, seed=seed or 0, parallel=parallel(Asked(workers=options["workers"])))
    root = store_at(options["store"]).root
    checks = verify(root, table, data, asked)
    if options["as_json"]:
        found = {"store": str(root), "table": table, "checks": [check.as_json() for check in checks]}
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for line in _lines(checks):
            screen.show(line)
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
