"""Settings that no stage can use are refused before any work, by the run and by the dry run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from tests.pipeline.preflight.requests import NANO, RDED, Call
from uvlp.pipeline.downloads import disk

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "setting evaluate.norm": ("--set=evaluate.norm=layer",),
    "setting evaluate.precision": ("--set=evaluate.precision=half",),
    "convnet-5 is too deep for images of 16 px": ("--network=convnet-5",),
    "convnet-9999 is too deep for images of 16 px": ("--network=convnet-9999",),
    "resnet of unknown depth": ("--network=resnet-12",),
    "image too small for resnet-18": ("--network=resnet-18", "--set=evaluate.size_px=7"),
    "image too small for resnet-ap-10": (
        *("--method=herding", "--set=herding.features=network"),
        *("--set=evaluate.size_px=4", "--network=convnet-1"),
    ),
    "setting embedder.layers": ("--set=embedder.layers=1,1,1",),
    "setting image_px": ("--set=image_px=33",),
    "the dataset has no captions": ("--set=caption.captioner=file", "--method=uvlp"),
    "too few images in a class after dropping its last partial batch": (
        *("--method=d4m:reference-flush", "--set=d4m.km_expand=1000"),
    ),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_unusable_settings_are_refused(what: str, refused: Call) -> None:
    error = refused(*NANO, *SETTINGS[what])
    assert error.what == what and (error.allowed or error.fix)


ONE = "a batch of one image is too small for the network's last maps"
SMALL = ("--set=evaluate.norm=batch", "--set=evaluate.size_px=8")
BY_NETWORK = ("--set=herding.features=network", "--network=convnet-1")
SINGLE: Mapping[str, tuple[str, ...]] = {
    "20 images in batches of 19": ("--method=random", "--network=resnet-10", "--set=evaluate.batch=19"),
    "20 images in batches of 1": ("--method=random", "--network=resnet-ap-10", "--set=evaluate.batch=1"),
    "1307 images in batches of 653": (
        *("--method=full", "--network=resnet-ap-10", "--set=evaluate.batch=653"),
        "--set=evaluate.norm=instance",
    ),
    "1307 images in batches of 1306": ("--method=herding", *BY_NETWORK, "--set=evaluate.batch=1306"),
    "20 images in batches of 19, soft labels": (
        *("--protocol=rded", "--method=random", "--network=resnet18", "--set=rded.size_px=32"),
        "--set=rded.batch=19",
    ),
}


@pytest.mark.parametrize("case", SINGLE)
def test_batch_of_one_image_is_refused(case: str, refused: Call) -> None:
    error = refused(*NANO, *SMALL, *SINGLE[case])
    assert (error.what, error.got) == (ONE, case.partition(", soft")[0]) and error.fix


@pytest.mark.parametrize("side_px", [8, 16, 31 + 32, 34])
def test_image_side_of_the_small_models_is_checked(side_px: int, refused: Call) -> None:
    error = refused(*NANO, f"--set=image_px={side_px}")
    assert (error.what, error.got) == ("setting image_px", side_px)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has what these settings need")
@pytest.mark.parametrize("model", ["embedder", "autoencoder", "diffuser"])
def test_float16_of_a_small_model_on_a_cpu_is_refused(model: str, refused: Call) -> None:
    error = refused(*NANO, "--method=vlcp", f"--set={model}.precision=float16")
    assert (error.what, error.got) == ("unsupported precision on cpu", "float16")


def test_too_small_disk_is_refused(refused: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 2_000_000)
    error = refused(*NANO, "--method=vlcp", "--set=evaluate.size_px=64")
    assert "features" in error.what and "pixels" in error.what
    pixels, row = 490 * 3 * 64 * 64, 64 * 4 + 2 * 4 * 4 * 8 * 8
    latents, images = 20 * 4 * 4 * 8 * 8, 20 * 3 * 32 * 32 // 1032
    needed = pixels + 1307 * row + latents + images
    assert str(error.got).startswith("2.0 MB free in ") and error.fix
    assert error.allowed == f"{needed / 1e6:.1f} MB or more"


RDED_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "setting rded.optimiser": ("--set=rded.optimiser=adam",),
    "setting rded.schedule": ("--set=rded.schedule=step",),
    "setting rded.mix": ("--set=rded.mix=none",),
    "setting rded.precision": ("--set=rded.precision=half",),
    "patches per side (rded.factor)": ("--set=rded.factor=33",),
    "passes per optimiser step (rded.accumulation)": ("--set=rded.batch=20", "--set=rded.accumulation=21"),
    "images too small for conv5, px": ("--network=conv5",),
    "images too small for conv6, px": ("--set=teacher.network=conv6",),
    "torchvision publishes no weights for this network": ("--set=teacher.source=torchvision",),
    "classes of a dataset for torchvision's weights": (
        *("--set=teacher.source=torchvision", "--set=teacher.network=resnet18"),
    ),
}


@pytest.mark.parametrize("what", RDED_SETTINGS)
def test_unusable_settings_of_rded_are_refused(what: str, refused: Call) -> None:
    assert refused(*RDED, *RDED_SETTINGS[what]).what == what
