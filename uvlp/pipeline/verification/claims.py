"""Claims: measured cells against published ones, and the digits against what is committed for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from uvlp.artifacts.tables import Cell
from uvlp.core import plugins, portable
from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import read_lines
from uvlp.core.plugins import PACKAGE
from uvlp.pipeline import names
from uvlp.pipeline.planning.planner import Planner
from uvlp.pipeline.prepare import placeholder
from uvlp.pipeline.published.measured import test_images
from uvlp.pipeline.verification.contents import Contents, Measured, measured
from uvlp.pipeline.verification.datasets import Datasets, Known
from uvlp.pipeline.verification.report import Check
from uvlp.pipeline.verification.settings import CAPTION
from uvlp.recipes import profiles
from uvlp.recipes.remarks import OTHER_SETTINGS
from uvlp.tables import paper, published
from uvlp.tables.paper import why_not
from uvlp.tables.published import Published
from uvlp.tables.verdicts import NOT_REPRODUCED, judge

MEASURED = PACKAGE.parent / "paper_tables" / "measured"
PASSES = ("best", "last")
RANGED_TABLE = "digits-ipc10"
"""The table of which ranges over processors are committed."""


def check_claims(contents: Contents, datasets: Datasets) -> Check:
    """The verdict on every cell with a counterpart."""
    check = Check(
        name="claims",
        one="{} cell or score matches the published or committed numbers",
        many="{} cells or scores match the published or committed numbers",
    )
    for table in measured(contents):
        manifest = table.artifact.manifest
        stated = CAPTION.fullmatch(table.facts.caption)
        known = datasets.get(manifest.dataset) if manifest else None
        if table.table is None:
            check.skipped["tables with errors"] += 1
        elif stated is None:
            check.skipped["tables with a caption of another form"] += 1
        elif known is None:
            check.skipped["tables whose dataset is not recorded in this store"] += 1
        elif known.manifest.name == "digits":
            _check_digits(check, table, stated.groupdict(), known, contents)
        else:
            _check_published(check, table, stated.groupdict(), known)
    return check


def _check_published(check: Check, table: Measured, stated: Mapping[str, str], known: Known) -> None:
    """Judge every cell that somebody published, made with the profile that is meant for it."""
    assert table.table is not None
    dataset, ipc = known.manifest.name, int(stated["ipc"])
    if not published.has(dataset):
        check.skipped[f"cells with no published numbers for {dataset}"] += len(table.table.cells)
        return
    if stated["profile"] != names.default_recipe(dataset, ipc).profile:
        check.skipped["cells of a profile without published numbers"] += len(table.table.cells)
        return
    for cell in table.table.cells:
        found = published.find(dataset, ipc, cell.method, cell.network, stated["protocol"])
        if not found:
            check.skipped["cells without a published number"] += 1
        for one in found:
            _judge(check, table, cell, one, known.manifest.variant)


def _judge(check: Check, table: Measured, cell: Cell, one: Published, variant: str) -> None:
    changed = next((note for note in table.facts.notes if note.startswith(OTHER_SETTINGS)), "")
    name, images = table.facts.name, test_images(variant)
    reason = why_not(paper.Measured(cell=cell, table=name, validation_set=images, changed=changed), one)
    verdict = judge(cell.best_pct, cell.seeds, one, reason)
    told = f"{cell.title} with {cell.network}, published {one.show()}: {verdict.show()}"
    if reason:
        check.skipped["cells not comparable with the published ones"] += 1
    else:
        check.checked += 1
    if verdict.kind == NOT_REPRODUCED:
        check.fail(f"{table.artifact.name}/table.json", told)
    else:
        check.remarks.append(told)


def _check_digits(
    check: Check, table: Measured, stated: Mapping[str, str], known: Known, contents: Contents
) -> None:
    try:
        planned = _planned_keys(table, stated, known)
    except UvlpError as error:
        check.skipped[f"tables of digits that cannot be planned here: {error}"] += 1
        return
    assert table.artifact.manifest is not None
    inputs = table.artifact.manifest.inputs
    own = {name for name, key in inputs.items() if planned.get(name) == key}
    if len(own) < len(inputs):
        check.skipped["scores of digits made with other settings or code than the recipe has now"] += len(
            inputs
        ) - len(own)
    if table.facts.portable is not None:
        _check_hashes(check, table, own, contents)
    elif table.facts.name == RANGED_TABLE:
        _check_ranges(check, table, own)
    else:
        check.skipped["tables of digits without committed numbers"] += 1


def _planned_keys(table: Measured, stated: Mapping[str, str], known: Known) -> dict[str, str]:
    """Key of every training of a table, as the recipe of its dataset would have it now."""
    # Somebody's folders have rows, too, and no recipe.
    cells = [cell for cell in table.facts.cells if _is_method(cell.method)]
    if not cells:
        return {}
    trained = [name.rpartition(" repeat ") for cell in cells for name in cell.scores]
    recipe = profiles.apply(names.default_recipe(known.manifest.name, int(stated["ipc"])), stated["profile"])
    recipe = replace(
        recipe,
        methods=tuple(dict.fromkeys(cell.method for cell in cells)),
        networks=tuple(dict.fromkeys(cell.network for cell in cells)),
        seeds=tuple(dict.fromkeys(int(before.rpartition(" seed ")[2]) for before, _, _ in trained)),
        repeats=max(int(repeat) for _, _, repeat in trained),
        protocol=stated["protocol"],
        portable=table.facts.portable is not None,
    )
    if recipe.portable and table.facts.portable != portable.identity():
        raise UvlpError("made with another C library", got=table.facts.portable, allowed=portable.identity())
    checked = names.check(recipe)
    planner = Planner(recipe=checked.recipe, manifest=known.manifest, spec=checked.spec, find=placeholder)
    return {name: task.key for name, task in planner.table(checked.methods).inputs.items()}


def _is_method(spec: str) -> bool:
    return spec.partition(":")[0].replace("_", "-") in plugins.names("methods")


def _check_hashes(check: Check, table: Measured, own: set[str], contents: Contents) -> None:
    """With `--portable`: the hash of every score against the committed record."""
    record = _record(table.facts.name)
    assert table.artifact.manifest is not None
    for name, key in table.artifact.manifest.inputs.items():
        one = contents.usable(key)
        if name not in own or one is None or one.manifest is None:
            continue
        versions = portable.deciding((one.manifest.made or {}).get("versions") or {})
        recorded = record.get("files", {}).get("evaluate", {}).get(one.manifest.title)
        if recorded is None:
            check.skipped["scores of digits without a committed hash"] += 1
        elif versions != portable.deciding(record["made_by"]["versions"]):
            check.skipped["scores of digits made with other packages than the committed ones"] += 1
        else:
            check.checked += 1
            for file, sha256 in recorded.items():
                if one.manifest.files.get(file) != sha256:
                    what = "not the committed bytes (paper_tables/measured/portable), SHA-256"
                    check.fail(f"{one.name}/{file}", what, one.manifest.files.get(file), sha256)
    check.remarks.append(f"{table.facts.name}: hashes compared with paper_tables/measured/portable")


@cache
def _record(table: str) -> dict[str, Any]:
    """The committed run of a table's name; empty where there is none."""
    for path in sorted((MEASURED / "portable").glob("*.json")):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if f"table {table}" in content["files"]["tabulate"]:
            return content
    return {}


def _check_ranges(check: Check, table: Measured, own: set[str]) -> None:
    """The means against the committed ranges over settings of processors, which are no bound.

    A claim is refuted where the 95 % interval of the mean does not meet the range.
    """
    assert table.table is not None
    for entry, cell in zip(table.facts.cells, table.table.cells, strict=False):
        if not set(entry.scores) <= own:
            continue
        for place, which in enumerate(PASSES):
            means = [means[cell.method][place] for means in _committed_means() if cell.method in means]
            summary = getattr(cell, which)
            if not means or summary.low_pct is None or summary.high_pct is None:
                check.skipped["means of one training, or without a committed range"] += 1
                continue
            low, high = min(means), max(means)
            check.checked += 1
            told = f"{cell.title}, {which} {summary.mean_pct:.1f}, committed {low:.1f} to {high:.1f}"
            if summary.high_pct < low or summary.low_pct > high:
                check.fail(f"{table.artifact.name}/table.json", told, summary.show_interval())
            elif not low <= summary.mean_pct <= high:
                check.remarks.append(f"{told}: outside, but its interval {summary.show_interval()} overlaps")
    check.remarks.append(
        f"{table.facts.name}: means compared with the ranges in paper_tables/measured/processors"
    )


@cache
def _committed_means() -> tuple[Mapping[str, list[float]], ...]:
    """Per setting of a processor the means of each method, best and last."""
    return tuple(one["means"] for one in _records() if one["setting"] != "portable")


def _records() -> Iterator[dict[str, Any]]:
    path = MEASURED / "processors" / "digits.jsonl"
    if path.is_file():
        yield from map(json.loads, read_lines(path))
