"""Several trainings with one accelerator in mixed precision, as in the speed benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from benchmarks.embedding.embed_images import CLASSES, write_photographs
from benchmarks.models.finetune_speed import take_turn
from tests import tiny_models
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.progress import Progress
from uvlp.models.finetuning.job import make_accelerator
from uvlp.models.finetuning.parts import load_parts
from uvlp.models.quiet import quiet
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import FinetuneSettings

SETTINGS = FinetuneSettings(
    batch=CLASSES // 2, accumulation=1, epochs=1, resolution_px=tiny_models.IMAGE_PX, report_to="none"
)


def test_a_second_training_also_uses_mixed_precision(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    spec = DatasetSpec(name="folder", argument=str(write_photographs(tmp_path / "photographs", CLASSES)))
    dataset = open_dataset(spec, tmp_path, Progress())
    accelerator = make_accelerator(torch.bfloat16, "cpu", SETTINGS, tmp_path)
    request.addfinalizer(lambda: AcceleratorState._reset_state(reset_partial_state=True))
    base = tiny_models.diffusion(tmp_path / "base")
    parts = load_parts(base, torch.bfloat16, accelerator.device, SETTINGS.resolution_px)
    for stored in (True, False):
        with quiet():
            turn = take_turn(parts, accelerator, dataset, replace(SETTINGS, cache_latents=stored), tmp_path)
        assert len(turn.update_s) == 1 and turn.update_s[0] > 0
