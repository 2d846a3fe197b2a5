"""Measured cells of published tables in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from uvlp.artifacts import tables
from uvlp.artifacts.store import Store
from uvlp.artifacts.tables import Cell
from uvlp.declarations.dataset import declared_dataset
from uvlp.pipeline import stored_tables
from uvlp.pipeline.stored_tables import Stored
from uvlp.recipes.remarks import OTHER_SETTINGS
from uvlp.tables.paper import Measured
from uvlp.tables.published import Published, canonical

ILSVRC, FASTAI = "ilsvrc", "fastai"


def find(cells: Sequence[Published], store: Store) -> dict[Published, Measured]:
    """Return measured cells by published cell, measured with the dataset's own recipe and profile.

    Where several stored tables have a cell, the one with the most trainings counts, then the first by name.
    """
    complete, _ = stored_tables.measured(store)
    measured_cells: dict[Published, Measured] = {}
    by_run: dict[tuple[str, int], list[Published]] = {}
    for cell in cells:
        by_run.setdefault((cell.dataset, cell.ipc), []).append(cell)
    for (dataset, ipc), wanted in by_run.items():
        names = _names(dataset, ipc)
        for name, stored in complete.items():
            if stored.name in names:
                for cell, measured in _matches(wanted, name, stored, store, names[stored.name]):
                    known = measured_cells.get(cell)
                    if known is None or measured.cell.best.trainings > known.cell.best.trainings:
                        measured_cells[cell] = measured
    return measured_cells


def _names(dataset: str, ipc: int) -> dict[str, str]:
    """Return the test images in the terms of `Published`, by the name of a table of such a run."""
    variants = declared_dataset(dataset).variants or ("",)
    names = {}
    for index, variant in enumerate(variants):
        name = f"{dataset}-{variant}" if index else dataset
        for portable in ("", "-portable"):
            names[f"{name}-ipc{ipc}{portable}"] = test_images(variant)
    return names


def test_images(variant: str) -> str:
    """Return the test images of a dataset's variant in the terms of `Published`."""
    return ILSVRC if variant in ("", ILSVRC) else FASTAI


def _matches(
    wanted: Sequence[Published], name: str, stored: Stored, store: Store, images: str
) -> Iterator[tuple[Published, Measured]]:
    cells = tables.read(store.root / tables.KIND / stored.key).cells
    changed = next((note for note in stored.content["facts"]["notes"] if note.startswith(OTHER_SETTINGS)), "")
    by_identity = {_identity(cell): cell for cell in cells}
    for one in wanted:
        cell = by_identity.get((canonical(one.method), canonical(one.network)))
        if cell is not None:
            yield one, Measured(cell=cell, table=name, validation_set=images, changed=changed)


def _identity(cell: Cell) -> tuple[str, str]:
    return canonical(cell.method), canonical(cell.network)


def missing(
    cells: Sequence[Published], measured_cells: Mapping[Published, Measured], here: Sequence[str]
) -> list[Published]:
    """Return the unmeasured cells of the methods in ``here``."""
    return [cell for cell in cells if cell not in measured_cells and cell.method in here]
