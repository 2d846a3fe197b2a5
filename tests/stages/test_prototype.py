"""Stage prototype: one class in memory at a time, and only the latents that a method uses are drawn."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.methods.prototype_growth import Given, fill
from uvlp.artifacts import features, prototypes
from uvlp.artifacts.prototypes import Prototype
from uvlp.core.progress import Progress
from uvlp.declarations.method import declared_method
from uvlp.methods.algorithms.method_input import build
from uvlp.stages import prototype

ROWS, IPC = 40, 4


def inputs(folder: Path, classes: int) -> Path:
    folder.mkdir()
    fill(folder, classes, ROWS)
    return folder


def run(folder: Path, method: str, classes: int, out: Path) -> None:
    out.mkdir()
    prototype.run(Given(method, folder, out, classes, ROWS, IPC))  # type: ignore[arg-type]


def peak(folder: Path, method: str, classes: int, out: Path) -> int:
    """The peak of allocated bytes while the stage runs."""
    gc.collect()
    tracemalloc.start()
    try:
        run(folder, method, classes, out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", ["uvlp", "vlcp", "d4m"])
def test_memory_does_not_grow_with_the_classes(method: str, tmp_path: Path) -> None:
    few, many = 2, 12
    sizes = {count: inputs(tmp_path / f"{count}", count) for count in (few, many)}
    run(sizes[few], method, few, tmp_path / "first")  # imports
    peaks = {count: peak(folder, method, count, tmp_path / f"out{count}") for count, folder in sizes.items()}
    stored = sum(path.stat().st_size for path in sizes[many].iterdir())
    added = stored * (many - few) / many
    assert peaks[many] - peaks[few] < added / 2, (peaks, added)
    latents, rows = prototypes.read(tmp_path / f"out{many}")
    assert len(latents) == len(rows) == many * IPC
    assert [row.class_id for row in rows[::IPC]] == [str(index) for index in range(many)]


def test_uvlp_draws_only_the_latents_that_it_averages(tmp_path: Path) -> None:
    drawn: list[int] = []

    class Counted(features.Latents):
        def __getitem__(self, rows: Any) -> np.ndarray:
            drawn.extend(rows)
            return super().__getitem__(rows)

    folder = inputs(tmp_path / "features", 3)
    given = Given("uvlp", folder, tmp_path, 3, ROWS, IPC)
    method = declared_method("uvlp")
    arrays = features.read({"images": folder, "texts": folder})
    built = build(given.dataset(), IPC, 0, arrays, ["a"] * (3 * ROWS))
    counted = Counted(arrays["mean"], arrays["deviation"], lambda row: np.zeros(arrays["mean"].shape[1:]))
    built.classes._arrays["latents"] = counted  # type: ignore[attr-defined]
    assert method.prototypes is not None
    results = method.prototypes(built, method.settings(), Progress())
    made = [each for result in results for each in result.prototypes]
    assert sorted(drawn) == sorted(row for each in made for row in each.latent_members)
    assert len(drawn) < 3 * ROWS


def test_the_files_are_those_of_whole_arrays(tmp_path: Path) -> None:
    """`latents.npy` is what numpy writes for all classes at once."""
    latents = np.random.default_rng(0).normal(size=(6, 4, 2, 3)).astype(np.float32)
    rows = [
        Prototype(class_id=str(index // 2), slot=index % 2, text="", members=(index,), latent_members=())
        for index in range(6)
    ]
    prototypes.write(tmp_path, 6, ((latents[at : at + 2], rows[at : at + 2]) for at in (0, 2, 4)))
    np.save(tmp_path / "whole.npy", latents)
    assert (tmp_path / "latents.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert prototypes.read(tmp_path)[1] == rows
