"""Images that the published code of a baseline made: imported once, then scored as `baseline:NAME`.

An import copies the images into `distilled` artifacts, whose facts name repository and commit, and leaves a
record ``<store>/imported/baseline-NAME-<hash>.json``: which artifacts are the seeds of the row, for one
dataset and IPC. Importing again replaces the record; artifacts stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store, explain_store_errors
from uvlp.artifacts.task import plain
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.hashing import digest, read_checked, write_checked
from uvlp.exchange.baselines import Baseline, pinned
from uvlp.pipeline.folders.rows import BASELINE, Row
from uvlp.pipeline.prepare import Plan

FOLDER = "imported"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images of one seed: the folder they came from, their artifact, and its facts."""

    path: str
    artifact: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One import.

    Attributes:
        row: title in tables.
        baseline: name, repository and commit.
        dataset: location of the dataset whose classes the images have, see `DatasetSpec.location`.
        ipc: images per class.
        images: by seed, from 0 on.
    """

    schema: int
    row: str
    baseline: Mapping[str, str]
    dataset: str
    ipc: int
    images: tuple[Images, ...]


def row(baseline: Baseline, folders: Iterable[str]) -> Row:
    """Return the row of image folders, one per seed, that are to be imported."""
    source = {"name": baseline.name, "repository": baseline.repository, "commit": baseline.commit}
    return Row(baseline.row, tuple(folders), baseline=source)


def keep(store: Store, baseline: Baseline, spec: DatasetSpec, plan: Plan, folders: Iterable[str]) -> Record:
    """Write the record of images whose artifacts ``plan`` has made.

    Args:
        store: the store with the artifacts.
        baseline: the published code that made the images.
        spec: the dataset.
        plan: of one row, see :func:`row`.
        folders: where the images came from, in the order of the seeds.

    Raises:
        UvlpError: it cannot be written.
    """
    made = {score.facts["seed"]: score.inputs["distilled"] for score in plan.goal.inputs.values()}
    images = [
        Images(path=os.path.abspath(path), artifact=made[seed].name, facts=plain(made[seed].facts))
        for seed, path in enumerate(folders)
    ]
    record = Record(
        schema=SCHEMA,
        row=baseline.row,
        baseline=images[0].facts["baseline"],
        dataset=spec.location,
        ipc=plan.recipe.ipc,
        images=tuple(images),
    )
    with explain_store_errors(store.root):
        write_checked(_path(store.root, record), plain(record), flushed=True)
    return record


def _path(root: Path, record: Record) -> Path:
    name = f"baseline-{record.baseline['name']}-{digest([record.dataset, record.ipc])[:12]}.json"
    return root / FOLDER / name


def resolve(rows: Iterable[Row], root: Path, spec: DatasetSpec, ipc: int | None) -> list[Row]:
    """Return the rows, those of `baseline:NAME` with the imported images.

    Args:
        rows: as parsed; an existing folder of that name is a folder.
        root: of the store.
        spec: the dataset that is scored on.
        ipc: images per class; None for those of the only import.

    Raises:
        UvlpError: an unknown or unpinned name, no import for this dataset and IPC, or a damaged record.
    """
    return [_imported(each, root, spec, ipc) if _is_baseline(each) else each for each in rows]


def _is_baseline(row: Row) -> bool:
    return not row.name and row.paths[0].startswith(BASELINE) and not os.path.isdir(row.paths[0])


def _imported(given: Row, root: Path, spec: DatasetSpec, ipc: int | None) -> Row:
    baseline = pinned(given.paths[0].removeprefix(BASELINE))
    paths = sorted((root / FOLDER).glob(f"baseline-{baseline.name}-*.json"))
    every = [record for record in map(_read, paths) if record.baseline["name"] == baseline.name]
    of_dataset = {record.ipc: record for record in every if record.dataset == spec.location}
    if ipc is None and len(of_dataset) > 1:
        raise UvlpError(
            f"images of {baseline.name} are imported for several numbers of images per class",
            got=", ".join(map(str, sorted(of_dataset))),
            allowed="one of them",
            fix="give --ipc",
        )
    record = next(iter(of_dataset.values()), None) if ipc is None else of_dataset.get(ipc)
    if record is None:
        raise UvlpError(
            f"no imported images of {baseline.name} for {spec}" + (f", IPC {ipc}" if ipc else ""),
            got=f"{BASELINE}{baseline.name}",
            allowed="; ".join(f"{each.dataset}, IPC {each.ipc}" for each in every) or "nothing is imported",
            fix=f"import them: uvlp baseline import {baseline.name} FOLDER --dataset {spec}",
        )
    return Row(
        record.row,
        tuple(each.path for each in record.images),
        baseline=record.baseline,
        stored=tuple(each.facts for each in record.images),
    )


def _read(path: Path) -> Record:
    """Read a record.

    Raises:
        UvlpError: it is damaged.
    """
    try:
        return json_files.build(Record, read_checked(path))
    except ValueError as error:
        fix = "delete it and import the images again; finished artifacts are kept"
        raise UvlpError("the record of an import is damaged", got=str(path), fix=fix) from error
