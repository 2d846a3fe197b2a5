"""GLaD with a StyleGAN-XL in profile nano: to a row, and the same files after an interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from tests import tiny_models
from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.declarations.method import declared_method
from uvlp.methods.algorithms.optimising import optimisation
from uvlp.methods.algorithms.optimising.latent_matching import LatentMatching
from uvlp.methods.glad import Settings, models, passes
from uvlp.models.published import find
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.making.execute import execute
from uvlp.recipes import overrides
from uvlp.recipes.schema import ModelSettings

CLASSES = {"n01440764": 0, "n02102040": 217}
"""Class folders and their labels of ImageNet."""
CHANGES = {"prior": "stylegan-xl", "layer": 3, "iterations": 3}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of ImageNet, of noise."""
    root, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for identity in CLASSES:
            folder = root / split / identity
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.stylegan_xl(tmp_path_factory.mktemp("prior") / "model")


def made(root: Path, images: Path, prior: Path) -> dict[str, bytes]:
    """Make the images in a store; return the files by name."""
    store = Store(root)
    store.prepare()
    spec, method = DatasetSpec(name="folder", argument=str(images)), declared_method("glad")
    model = find.find(ModelSettings(stylegan_xl=str(prior)), "stylegan_xl", store.cache)
    task = Task(
        kind=distilled.KIND,
        stage="optimise",
        plugin="glad",
        settings=overrides.merge(Settings(), {**method.profiles["nano"], **CHANGES}),
        facts={
            "method": "glad",
            "ipc": 2,
            "seed": 0,
            "size_px": 8,
            "flip": False,
            "models": {"stylegan_xl": model.sha256},
            "labels": list(CLASSES.values()),
        },
        dataset=open_dataset(spec, store.cache, Progress()).manifest.content_hash,
        dataset_spec=spec,
        origins={"stylegan_xl": model.path},
    )
    execute(root, task, Progress())
    folder = store.folder(task)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_interrupted_images_are_the_same_files(
    images: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    monkeypatch.setattr(optimisation, "SAVE_EVERY_S", 0.0)
    expected = made(tmp_path / "whole", images, prior)
    assert len(expected) == 2 * 2 + 1 and len(set(expected.values())) == 5  # and the contact sheet
    step: Callable[[LatentMatching, int], Tensor] = LatentMatching.step
    steps: list[int] = []

    def interrupted(self: LatentMatching, iteration: int) -> Tensor:
        steps.append(iteration)
        if steps == [1, 2]:
            raise KeyboardInterrupt
        return step(self, iteration)

    monkeypatch.setattr(LatentMatching, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "interrupted", images, prior)
    assert made(tmp_path / "interrupted", images, prior) == expected
    assert steps == [1, 2, 2, 3]


@pytest.mark.slow
def test_a_run_ends_with_a_row(images: Path, prior: Path, tmp_path: Path) -> None:
    """Without any model that is trained here; another prior has another key."""
    command = [
        *(sys.executable, "-m", "uvlp", "reproduce", f"folder:{images}", "1", "--profile", "nano"),
        *("--method", "glad", "--network", "convnet-1", "--repeats", "1", "--store", str(tmp_path / "store")),
        *("--set", "glad.prior=stylegan-xl", "--set", "glad.layer=3", "--json"),
    ]

    def run(folder: Path) -> dict[str, str]:
        more = ("--set", f"models.stylegan_xl={folder}")
        ended = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        artifacts: dict[str, str] = json.loads(ended.stdout)["artifacts"]
        return artifacts

    first = run(prior)
    assert not [title for title in first if title.startswith("autoencoder")]
    (table,) = (tmp_path / "store" / "tables").glob("*/table.md")
    assert "| GLaD" in table.read_text(encoding="utf-8")
    other = run(tiny_models.stylegan_xl(tmp_path / "other", seed=1))
    assert other["glad images, seed 0"] != first["glad images, seed 0"]


def test_the_prior_decides_on_the_model_and_on_the_passes_that_are_counted() -> None:
    counts = {"ipc": 2, "classes": 3, "images": 30, "size_px": 32}
    for chosen, model, name in (
        ("vae", "autoencoder", "vae_decode"),
        ("stylegan-xl", "stylegan_xl", "stylegan_xl"),
    ):
        settings = Settings(prior=chosen, iterations=5)
        assert models(settings) == (model,)
        assert passes(settings, **counts)[name] == 5 * 3 * 2 * 4
