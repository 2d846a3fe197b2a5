"""Tables, built again from their scores in memory and compared with their files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.task import plain
from uvlp.artifacts.work import read_notes
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines
from uvlp.pipeline.verification.contents import Artifact, Contents, Measured, ScoreFacts, measured
from uvlp.pipeline.verification.report import Check
from uvlp.tables.notes import on_devices
from uvlp.tables.table import texts

CLOSE = 1e-9
"""Relative: sums of doubles in another order differ in their last bits, far below what a table shows."""


def check_tables(contents: Contents) -> Check:
    """Cells, comparisons and notes against the scores, then each file against the cells."""
    check = Check(
        name="table",
        one="{} table matches its scores, in every file",
        many="{} tables match their scores, in every file",
    )
    for table in measured(contents):
        manifest = table.artifact.manifest
        assert manifest is not None
        if table.artifact.name in contents.damaged:
            check.skipped["tables with a damaged file"] += 1
        elif table.table is None:
            check.checked += 1
            check.fail(f"{table.artifact.name}/{tables.FILE}", "of another form, or another schema")
        elif manifest.revision != plugins.revision("stages/tabulate"):
            check.checked += 1
            check.skipped["tables of another revision, of which only the accuracies are checked"] += 1
            _check_accuracies(check, table, table.table, contents)
        else:
            check.checked += 1
            _check_texts(check, table, table.table)
            _check_numbers(check, table, table.table, contents)
    return check


def _check_accuracies(check: Check, table: Measured, found: tables.Table, contents: Contents) -> None:
    for cell in found.cells:
        wrong = tables.contradiction(cell, contents.score)
        if wrong:
            check.fail(
                f"{table.artifact.name}/{tables.FILE}", "its accuracies are not those of its scores", wrong
            )


def _check_texts(check: Check, table: Measured, found: tables.Table) -> None:
    wanted = {tables.FORMATS[form]: text for form, text in texts(found).items()}
    for name, text in {tables.FILE: tables.as_json(found), **wanted}.items():
        file = f"{table.artifact.name}/{name}"
        try:
            content = (table.artifact.folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            check.fail(file, "cannot be read", error)
            continue
        if content != text:
            pairs = zip(split_lines(content), split_lines(text), strict=False)
            got, allowed = next((pair for pair in pairs if pair[0] != pair[1]), ("its length", "another"))
            check.fail(file, "not the text of table.json", got, allowed)


def _check_numbers(check: Check, table: Measured, found: tables.Table, contents: Contents) -> None:
    from uvlp.tables.measured import Training, measured_table

    trainings: dict[str, Training] = {}
    manifest = table.artifact.manifest
    assert manifest is not None
    for name, key in manifest.inputs.items():
        one, score = contents.usable(key), contents.score(f"scores/{key}")
        if one is None or one.manifest is None or score is None or not isinstance(one.facts, ScoreFacts):
            check.skipped["tables with a missing or damaged score"] += 1
            return
        images = one.manifest.inputs.get("distilled", "")
        trainings[name] = Training(
            name=one.name, seed=one.facts.seed, repeat=one.facts.repeat, images=images, score=score
        )
    file = f"{table.artifact.name}/{tables.FILE}"
    try:
        built = measured_table(manifest.facts, trainings, ())
    except (UvlpError, AssertionError, ArithmeticError, ValueError, TypeError, KeyError) as error:
        check.fail(file, "its scores give no table", f"{type(error).__name__}: {error}")
        return
    counted = found.notes[len(built.notes) :]
    differing = difference(plain(found) | {"notes": list(found.notes[: len(built.notes)])}, plain(built))
    if differing:
        check.fail(file, *differing)
    elif not _check_counted(check, table, list(counted), contents):
        check.skipped["tables with notes on artifacts that are not in this store"] += 1


def difference(found: Any, wanted: Any, where: str = "") -> tuple[str, str, str] | None:
    """Where two JSON values differ first, and both there; numbers may differ by rounding."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        pairs = [(f"{where}.{name}".lstrip("."), found[name], wanted[name]) for name in wanted]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = [(f"{where}[{row}]", *pair) for row, pair in enumerate(zip(found, wanted, strict=True))]
    else:
        numbers = isinstance(found, float) and isinstance(wanted, float)
        same = math.isclose(found, wanted, rel_tol=CLOSE, abs_tol=CLOSE) if numbers else found == wanted
        return None if same else (where, str(found)[:200], str(wanted)[:200])
    return next(filter(None, (difference(one, other, place) for place, one, other in pairs)), None)


def _check_counted(check: Check, table: Measured, found: list[str], contents: Contents) -> bool:
    """Compare the last notes with the counts of what is behind the scores; False where that is not here."""
    wanted: dict[str, None] = {}
    behind: dict[str, Artifact] = {}
    for cell in table.facts.cells:
        for name in table.names(cell):
            for one in _ancestors(contents.artifacts[name], contents):
                if one is None:
                    return False
                behind[one.name] = one
                for what, count in read_notes(one.folder).items():
                    wanted[f"{cell.title}: {count} {what}"] = None
    made = (
        (one.manifest.kind, one.manifest.stage, one.manifest.made or {})
        for one in behind.values()
        if one.manifest
    )
    devices = list(on_devices(made))
    # Earlier versions did not compare devices.
    if found not in ([*wanted, *devices], list(wanted)):
        differing = sorted({*found} ^ {*wanted, *devices}) or found
        check.fail(f"{table.artifact.name}/{tables.FILE}", "notes on what was counted", differing[0])
    return True


def _ancestors(one: Artifact, contents: Contents) -> Iterator[Artifact | None]:
    """The artifact and all behind it, None for what is not here or damaged."""
    yield one
    assert one.manifest is not None
    for key in one.manifest.inputs.values():
        earlier = contents.usable(key)
        if earlier is None:
            yield None
        else:
            yield from _ancestors(earlier, contents)
