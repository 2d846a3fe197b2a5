"""A StyleGAN-XL as GLaD's prior that does not fit is refused before any work, where known in the dry run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests import tiny_models
from tests.pipeline.preflight.requests import Call, folder

WANTED = ("1", "--profile=nano", "--repeats=1", "--network=convnet-1", "--method=glad")
PRIOR = "--set=glad.prior=stylegan-xl"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_models.stylegan_xl(tmp_path / "model")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of ImageNet, of noise."""
    root, generator = tmp_path / "images", np.random.default_rng(0)
    for split in ("train", "val"):
        for identity in ("n01440764", "n02102040"):
            (root / split / identity).mkdir(parents=True)
            for index in range(2):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / identity / f"{index}.png")
    return root


@pytest.fixture
def glad(refused: Call, images: Path, model: Path) -> Call:
    """Run GLaD with the generator in ``model``, a layer that it has, and further options."""
    settings = (PRIOR, f"--set=models.stylegan_xl={model}", "--set=glad.layer=3")
    return lambda *more: refused(f"folder:{images}", *WANTED, *settings, *more)


def test_a_prior_without_weights(refused: Call, images: Path) -> None:
    error = refused(f"folder:{images}", *WANTED, PRIOR)
    assert "models.stylegan_xl is not set" in error.what and "docs/stylegan_xl.md" in str(error.fix)


def test_images_of_another_size(glad: Call) -> None:
    error = glad("--set=glad.side_px=32")
    assert (error.got, error.allowed) == (32, "16, or 0 for the prior's own")
    assert "glad.side_px" in error.what


def test_a_layer_beyond_the_generator(glad: Call) -> None:
    error = glad("--set=glad.layer=7")
    assert (error.got, error.allowed) == (7, "0 to 6") and "glad.layer" in error.what


def test_classes_that_are_not_those_of_imagenet(refused: Call, model: Path, tmp_path: Path) -> None:
    root = folder(tmp_path / "other", classes=2, train=2, val=2)
    settings = (PRIOR, f"--set=models.stylegan_xl={model}", "--set=glad.layer=3")
    error = refused(f"folder:{root}", *WANTED, *settings)
    assert "StyleGAN-XL" in error.what and "class0" in str(error.got)
    assert "glad.prior=vae" in str(error.fix)


def test_an_unknown_prior(glad: Call) -> None:
    error = glad("--set=glad.prior=biggan")
    assert error.got == "biggan" and "stylegan-xl" in str(error.allowed)


def test_a_damaged_file(glad: Call, model: Path) -> None:
    path = model / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    error = glad()
    assert "truncated" in error.what and error.got == str(path)


def test_weights_that_are_not_finite(glad: Call, model: Path) -> None:
    path = model / "generator.safetensors"
    state = load_file(path)
    save_file(state | {"mapping.fc0.bias": torch.full((6,), torch.nan)}, path)
    assert "mapping.fc0.bias" in glad().what


@pytest.mark.parametrize("name", ["imagenet256.pkl", "generator.pkl"])
def test_a_pickle_in_place_of_the_weights(glad: Call, model: Path, name: str) -> None:
    (model / "generator.safetensors").unlink()
    (model / name).write_bytes(b"\x80\x04K\x01.")
    error = glad()
    assert "pickle" in error.what and error.got == str(model / name)
    assert "docs/stylegan_xl.md" in str(error.fix)


def test_a_pickle_in_place_of_the_folder(refused: Call, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "imagenet256.pkl"
    path.write_bytes(b"\x80\x04K\x01.")
    error = refused(f"folder:{images}", *WANTED, PRIOR, f"--set=models.stylegan_xl={path}")
    assert "pickle" in error.what and error.got == str(path)
    assert "docs/stylegan_xl.md" in str(error.fix)


@pytest.mark.parametrize("name", ["synthesis.L0_28_5.weight", "mapping.embed_proj.bias", "extra", "shape"])
def test_weights_that_do_not_fit_their_configuration(glad: Call, model: Path, name: str) -> None:
    path = model / "generator.safetensors"
    state = load_file(path)
    if name == "extra":
        state["synthesis.L9_9_9.weight"] = torch.zeros(2)
    elif name == "shape":
        state["mapping.fc0.bias"] = torch.zeros(7)
    else:
        del state[name]
    save_file(state, path)
    error = glad()
    named = {"extra": "synthesis.L9_9_9.weight", "shape": "mapping.fc0.bias (7,)"}.get(name, name)
    assert error.what.endswith("its weights)") and named in str(error.got)


FIELDS: Mapping[str, tuple[Any, str]] = {
    "generator": ("stylegan2", "stylegan-xl"),
    "classes": (10, "1000"),
    "conv_kernel": (5, "1 or 3"),
    "radial": ("yes", "true or false"),
    "stem_layers": (2, "3 to"),
    "stem_px": (12, "a power of 2"),
    "stages": ([[3, 4]], "pairs"),
    "w_dim": (0, "1 to"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_configuration_with_an_invalid_field(glad: Call, model: Path, field: str) -> None:
    path, (value, allowed) = model / "config.json", FIELDS[field]
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {field: value}), encoding="utf-8")
    error = glad()
    assert f"({path}, {field})" in error.what and error.got == value and allowed in str(error.allowed)


def test_images_of_too_many_pixels(glad: Call, model: Path) -> None:
    path = model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"stages": [[16, 4], [16, 4], [16, 4]]}), encoding="utf-8")
    assert "4096" in str(glad().allowed)


def test_a_folder_of_another_model(glad: Call, model: Path) -> None:
    (model / "config.json").write_text('{"model_type": "llava"}', encoding="utf-8")
    assert "StyleGAN-XL" in glad().what
