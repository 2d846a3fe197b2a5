from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from uvlp.core.progress import Progress
from uvlp.models import diffuser
from uvlp.models.sampling.sampler import Sampler
from uvlp.recipes.schema import DiffuserSettings, SynthesisSettings

Train = Callable[[Path, int], Path]


def _files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_diffusers_loads_the_folder_and_samples(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pipeline = StableDiffusionPipeline.from_pretrained(models / "diffuser")
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline("a bar one", num_inference_steps=2, generator=torch.Generator().manual_seed(0)).images
    assert drawn[0].size == (32, 32)
    assert pipeline.safety_checker is None


def test_the_schedule_is_that_of_stable_diffusion(models: Path) -> None:
    saved = json.loads((models / "diffuser/scheduler/scheduler_config.json").read_text())
    expected = {
        "_class_name": "PNDMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "skip_prk_steps": True,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": "epsilon",
    }
    assert {name: saved[name] for name in expected} == expected


def test_equal_seeds_give_equal_bytes(models: Path, tmp_path: Path, train_all: Train) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    torch.manual_seed(123)  # the global state must not matter
    assert _files(train_all(again, 0)) == _files(models)
    found = _files(train_all(other, 1))
    changed = {name for name, digest in _files(models).items() if found[name] != digest}
    weights = {name for name in found if name.endswith(".safetensors")}
    assert weights <= changed and changed - weights <= {"autoencoder/config.json", "diffuser/vae/config.json"}


def test_the_global_generator_is_restored(tmp_path: Path, train_all: Train) -> None:
    before = torch.get_rng_state()
    train_all(tmp_path, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_libraries_print_nothing(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bars, warnings or log lines, although every caption is too long."""
    records: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = records.append  # type: ignore[method-assign, assignment]
    for name in ("", "diffusers", "transformers"):
        logging.getLogger(name).addHandler(listener)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _train_and_draw(models, tmp_path / "out", "word " * 60)
    for name in ("", "diffusers", "transformers"):
        logging.getLogger(name).removeHandler(listener)
    assert [record.getMessage() for record in records] == []
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")


def _train_and_draw(models: Path, folder: Path, text: str) -> None:
    settings = DiffuserSettings(steps=1, batch=2, channels=(16, 32))
    images = np.zeros((4, 32, 32, 3), np.uint8)
    parts = models / "embedder", models / "autoencoder"
    diffuser.train(images, [text] * 4, *parts, settings, 0, folder, Progress())
    loaded, latents = Sampler.load(folder), torch.zeros(1, 4, 16, 16)
    for long_prompts in (False, True):
        loaded.synthesise(latents, latents, [text], SynthesisSettings(steps=2), long_prompts, ["a"])


def test_the_saved_weights_are_the_average(models: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(models / "diffuser", subfolder="unet")
    assert all(torch.isfinite(parameter).all() for parameter in unet.parameters())
    assert unet.config.cross_attention_dim == 32 and unet.config.sample_size == 16
