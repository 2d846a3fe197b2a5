"""IDC-1 on digits in profile nano: the same files after an interruption, and its network by size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.declarations.method import declared_method
from uvlp.methods.algorithms.optimising import optimisation
from uvlp.methods.algorithms.optimising.idc import Condensation
from uvlp.methods.idc_1 import Settings, network
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.making.execute import execute
from uvlp.recipes import overrides


def made(root: Path) -> dict[str, bytes]:
    """Make the images in a store; return the files by name."""
    store = Store(root)
    store.prepare()
    spec, method = DatasetSpec(name="digits"), declared_method("idc-1")
    task = Task(
        kind=distilled.KIND,
        stage="optimise",
        plugin="idc-1",
        settings=overrides.merge(Settings(), method.profiles["nano"]),
        facts={"method": "idc-1", "ipc": 2, "seed": 0, "size_px": 8, "flip": False},
        dataset=open_dataset(spec, store.cache, Progress()).manifest.content_hash,
        dataset_spec=spec,
    )
    execute(root, task, Progress())
    folder = store.folder(task)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_interrupted_images_are_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    monkeypatch.setattr(optimisation, "SAVE_EVERY_S", 0.0)
    expected = made(tmp_path / "whole")
    assert len(expected) == 10 * 2 + 1  # and the contact sheet
    step: Callable[[Condensation, int], Tensor] = Condensation.step
    steps: list[int] = []

    def interrupted(self: Condensation, iteration: int) -> Tensor:
        steps.append(iteration)
        if steps == [1, 2]:
            raise KeyboardInterrupt
        return step(self, iteration)

    monkeypatch.setattr(Condensation, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "interrupted")
    assert made(tmp_path / "interrupted") == expected
    assert steps == [1, 2, 2, 3, 4]


def test_the_network_is_that_of_the_paper_for_the_size() -> None:
    assert network(Settings(), 224) == "resnet-ap-10"
    assert network(Settings(), 32) == "convnet-3"
    assert network(Settings(network="convnet-4"), 224) == "convnet-4"
