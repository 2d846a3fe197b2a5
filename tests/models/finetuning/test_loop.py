"""Several trainings with one accelerator in mixed precision, as in the speed benchmark."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from benchmarks.embedding.embed_images import CLASSES, write_photographs
from benchmarks.models.finetune_speed import take_turn
from tests import tiny_models
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.progress import Progress
from uvlp.models.finetuning.data import Update, updates
from uvlp.models.finetuning.job import make_accelerator
from uvlp.models.finetuning.loop import Loaded, Training
from uvlp.models.finetuning.parts import load_parts
from uvlp.models.quiet import quiet
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import FinetuneSettings

SETTINGS = FinetuneSettings(batch=CLASSES // 2, accumulation=1, epochs=1, resolution_px=tiny_models.IMAGE_PX)


def test_a_second_training_also_uses_mixed_precision(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    spec = DatasetSpec(name="folder", argument=str(write_photographs(tmp_path / "photographs", CLASSES)))
    dataset = open_dataset(spec, tmp_path, Progress())
    accelerator = make_accelerator(torch.bfloat16, "cpu")
    request.addfinalizer(lambda: AcceleratorState._reset_state(reset_partial_state=True))
    base = tiny_models.diffusion(tmp_path / "base")
    parts = load_parts(base, torch.bfloat16, accelerator.device, SETTINGS.resolution_px)
    for stored in (True, False):
        with quiet():
            turn = take_turn(parts, accelerator, dataset, replace(SETTINGS, cache_latents=stored), tmp_path)
        assert len(turn.update_s) == 1 and turn.update_s[0] > 0


def loads(update: Update, settings: FinetuneSettings, images: int, processes: int) -> list[list[Loaded]]:
    """Return what each process loads for an update; the inputs are the rows."""
    training: Any = object.__new__(Training)
    training.settings, training.seed = settings, 0
    levels = SimpleNamespace(config=SimpleNamespace(num_train_timesteps=10))
    training.parts = SimpleNamespace(latent=(1, 2, 2), noise_levels=levels)
    training._inputs = lambda rows, draws: torch.from_numpy(rows)
    training._ids = np.arange(images, dtype=np.int32)[:, None]
    found = []
    for process in range(processes):
        training.accelerator = SimpleNamespace(num_processes=processes, process_index=process)
        found.append(training._load(update))
    return found


def test_processes_share_the_images_of_an_update_instead_of_those_of_each_batch() -> None:
    images, settings = 21, replace(SETTINGS, batch=4, accumulation=3, epochs=1)
    for update in updates(images, settings, 0, 0):
        (batches,) = loads(update, settings, images, 1)
        rows = [row for batch in update.batches for row in batch.rows.tolist()]
        assert [each.inputs.tolist() for each in batches] == [batch.rows.tolist() for batch in update.batches]
        for processes in (2, 3, 5, 13):
            of_each = loads(update, settings, images, processes)
            real = [one for process in of_each for one in process if one.weights.any()]
            for name in ("inputs", "ids"):
                made = torch.cat([getattr(one, name).flatten() for one in real])
                assert made.tolist() == rows
            noise = torch.cat([one.draws.noise for one in real])
            assert torch.equal(noise, torch.cat([one.draws.noise for one in batches]))
            total = sum(float(one.weights.sum()) for one in real) / processes
            assert total == pytest.approx(len(update.batches))
            counts = [sum(len(one.ids) for one in process) for process in of_each]
            assert max(counts) == -(-len(rows) // processes)
            assert all(len(one.ids) <= settings.batch for process in of_each for one in process)


@pytest.mark.parametrize(("others", "splits"), [(1, 2), (4, 4)])
def test_processes_agree_how_far_batches_are_split(
    monkeypatch: pytest.MonkeyPatch, others: int, splits: int
) -> None:
    """Before they exchange gradients: in the middle of it the others would wait for ever."""
    settings = replace(SETTINGS, batch=4, accumulation=1, epochs=1)
    training: Any = object.__new__(Training)
    training.settings, training.splits, training.model = settings, 1, None
    training._progress = Progress()
    training.optimiser = SimpleNamespace(zero_grad=lambda: None)
    tried: list[int] = []
    training.accelerator = SimpleNamespace(
        device="cpu",
        no_sync=lambda model: nullcontext(),
        backward=lambda loss: None,
        gather=lambda own: torch.cat([own, torch.tensor([others])]),
    )

    def loss(self: Training, part: Loaded) -> None:
        tried.append(len(part.ids))
        if len(part.ids) > 2:
            raise torch.OutOfMemoryError

    monkeypatch.setattr(Training, "_loss", loss)
    update = next(updates(4, settings, 0, 0))
    ((loaded,),) = loads(update, settings, 4, 1)
    training._agree([loaded])
    assert tried == [4, 2] and training.splits == splits
