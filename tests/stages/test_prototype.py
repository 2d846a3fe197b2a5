"""Stage prototype: one class in memory at a time, and only the latents that a method uses are drawn."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.methods.prototype_growth import Given, fill
from uvlp.artifacts import features, prototypes
from uvlp.artifacts.parts.parts import Share
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


@pytest.mark.slow
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


class Noted(Given):
    """Keeps the notes."""

    noted: dict[str, int]

    def note(self, notes: dict[str, int]) -> None:
        self.noted = notes


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("method", ["vlcp", "d4m"])
def test_jobs_that_share_the_classes_make_the_same_bytes(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = 7
    folder = inputs(tmp_path / "features", classes)
    given = []
    for jobs, part in ((0, 10), (0, 2), (3, 2)):
        monkeypatch.setattr(prototype, "PART", part)
        out = tmp_path / f"{jobs} jobs, {part} classes"
        out.mkdir()
        for job in reversed(range(jobs)):
            share = Share(job, jobs, publishes=False)
            prototype.run(Given(method, folder, out, classes, ROWS, IPC, share))  # type: ignore[arg-type]
            assert not files(out), "the last job publishes"
        if jobs:
            monkeypatch.setattr(prototype, "_make", None)  # nothing is left to make
        given.append(Noted(method, folder, out, classes, ROWS, IPC))
        prototype.run(given[-1])  # type: ignore[arg-type]
    whole, parts, shared = given
    assert files(whole.folder).keys() == {"latents.npy", "prototypes.jsonl"}
    assert files(whole.folder) == files(parts.folder) == files(shared.folder)
    assert whole.noted == parts.noted == shared.noted
    assert sorted(path.name for path in (shared.folder / "parts").iterdir() if path.name != "plan") == [
        f"{first:08}" for first in (0, 2, 4, 6)
    ]


def test_finished_classes_are_kept_when_a_run_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = 6
    folder = inputs(tmp_path / "features", classes)
    monkeypatch.setattr(prototype, "PART", 2)
    run(folder, "vlcp", classes, tmp_path / "whole")
    out = tmp_path / "out"
    out.mkdir()
    asked: list[list[str]] = []
    declared = declared_method("vlcp")

    def interrupted(given: Any, settings: Any, progress: Progress) -> Any:
        asked.append([data.id for data in given.classes])
        assert declared.prototypes is not None
        for done, result in enumerate(declared.prototypes(given, settings, progress)):
            if done == 3 and len(asked) == 1:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(prototype, "declared_method", lambda name: replace(declared, prototypes=interrupted))
    work = Given("vlcp", folder, out, classes, ROWS, IPC)
    with pytest.raises(KeyboardInterrupt):
        prototype.run(work)  # type: ignore[arg-type]
    prototype.run(work)  # type: ignore[arg-type]
    assert asked == [["0", "1", "2", "3", "4", "5"], ["2", "3", "4", "5"]]
    assert files(out) == files(tmp_path / "whole")


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
