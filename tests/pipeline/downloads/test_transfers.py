"""`uvlp reproduce` downloads exactly the missing inputs of its plan."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fake_hub import Hub, commit
from tests.pipeline.hub import MODELS
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.models.published import find, hub as hub_folders
from uvlp.pipeline.downloads import disk, transfers
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import Plan, prepare
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, ModelSettings, Recipe

pytestmark = pytest.mark.usefixtures("hub")


GENERATOR: dict[str, Any] = {"methods": ("glad",), "method": {"glad": {"prior": "stylegan-xl"}}}


def recipe(**changes: Any) -> Recipe:
    usual: dict[str, Any] = {"methods": ("uvlp",), "pretrained": True, "models": MODELS}
    return Recipe(**(usual | changes))


def planned(wanted: Recipe, store: Path, until: str = "tabulate") -> Plan:
    return prepare(check(wanted), Store(store), until)


def refused(wanted: Recipe, store: Path) -> UvlpError:
    """Return the error of an offline run."""
    with pytest.raises(UvlpError) as caught:
        transfers.fetch(planned(wanted, store).transfers, offline=True)
    assert "\n" not in str(caught.value)
    return caught.value


def test_offline_lists_everything_that_is_missing(tmp_path: Path, hub: Hub) -> None:
    asked = recipe(
        dataset="imagenette", data=str(tmp_path / "data"), caption=CaptionSettings(captioner="auto")
    )
    text = str(refused(asked, tmp_path))
    commands = [
        f"`uvlp fetch imagenette --data {tmp_path / 'data'}`",
        "`uvlp fetch diffusion --set models.diffusion=some/sd",
        "`uvlp fetch clip --set models.clip=hf-hub:some/clip`",
        "`uvlp fetch llava --set models.llava=some/llava",
    ]
    locations = ["some/sd/tree/", f" into {tmp_path / 'data'}", f" into {hub_folders.cache_folder()}"]
    folders = ["--data FOLDER", "--set models.clip=local-dir:FOLDER", "--set models.llava=FOLDER"]
    assert [part for part in [*commands, *locations, *folders] if part not in text] == []
    assert not hub.asked


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, {"diffusion", "clip"}),
        ({"caption": CaptionSettings(captioner="llava")}, {"diffusion", "clip", "llava"}),
        ({"methods": ("random", "full"), "caption": CaptionSettings(captioner="llava")}, set()),
        ({"methods": ("herding",), "caption": CaptionSettings(captioner="llava")}, {"autoencoder", "clip"}),
        ({"methods": ("d4m",), "caption": CaptionSettings(captioner="llava")}, {"diffusion", "clip"}),
        ({"methods": ("herding",), "method": {"herding": {"features": "network"}}}, set()),
        ({"methods": ("dit",)}, {"dit"}),
        ({"methods": ("minimax",)}, {"dit"}),
        ({"methods": ("dit",), "pretrained": False}, set()),
        ({"methods": ("glad",)}, {"autoencoder"}),
        (GENERATOR, {"stylegan_xl"}),
        (GENERATOR | {"pretrained": False}, {"stylegan_xl"}),
        ({"pretrained": False}, set()),
    ],
)
def test_recipe_downloads_what_it_uses(
    changes: dict[str, Any], parts: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = recipe(**changes)
    transfers.fetch(planned(asked, tmp_path).transfers, offline=False)
    here = set(find.PARTS) - set(find.needed(MODELS, find.PARTS))
    pipeline = {"autoencoder"} if "diffusion" in parts else set()
    assert here - {"autoencoder"} | (parts & {"autoencoder"}) == parts
    assert not find.needed(MODELS, parts | pipeline)
    assert planned(asked, tmp_path).complete


def test_finetuned_folder_replaces_the_pipeline(originals: dict[str, Path], tmp_path: Path) -> None:
    own = recipe(models=replace(MODELS, finetuned=str(originals["diffusion"])))
    text = str(refused(own, tmp_path))
    assert "the autoencoder" in text and "uvlp fetch diffusion" not in text
    base = recipe(models=own.models, methods=("uvlp", "d4m"))
    assert "uvlp fetch diffusion" in str(refused(base, tmp_path))


def test_teacher_needs_no_published_model(tmp_path: Path) -> None:
    asked = recipe(protocol="rded", networks=("conv3",))
    assert planned(asked, tmp_path, "teacher").complete


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"methods": ("herding",), "image_px": 40}, "setting image_px"),
        (
            {"methods": ("uvlp",), "finetune": FinetuneSettings(resolution_px=40)},
            "setting finetune.resolution_px",
        ),
    ],
)
def test_image_sides_are_checked_before_the_weights_are_downloaded(
    changes: dict[str, Any],
    setting: str,
    originals: dict[str, Path],
    hub: Hub,
    tmp_path: Path,
) -> None:
    """With one level more than Stable Diffusion 1.5, the autoencoder downsamples by 16."""
    own = Path(shutil.copytree(originals["diffusion"], tmp_path / "own"))
    path = own / "vae" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    levels = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}
    deeper = {name: [block] * 5 for name, block in levels.items()} | {"block_out_channels": [8] * 5}
    path.write_text(json.dumps(config | deeper), encoding="utf-8")
    hub.folders["some/sd", commit("a")] = own
    usual = {"image_px": 64, "finetune": FinetuneSettings(resolution_px=64), "dataset": "digits", "ipc": 1}
    asked = recipe(**{**usual, "caption": CaptionSettings(captioner="colours"), **changes})
    with pytest.raises(UvlpError) as caught:
        transfers.fetch(planned(asked, tmp_path / "store").transfers, offline=False)
    assert (caught.value.what, caught.value.got) == (setting, 40)
    assert not [name for name, _ in hub.asked if name.endswith(".safetensors")]


def test_disk_check_includes_artifacts_made_from_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 7_000_000_000)
    colours = CaptionSettings(captioner="colours")
    plan = planned(
        recipe(models=ModelSettings(), dataset="digits", ipc=1, image_px=512, caption=colours), tmp_path
    )
    with pytest.raises(UvlpError) as caught:
        transfers.fetch(plan.transfers, [of_store(plan, plan.tasks, tmp_path)], offline=False)
    assert "weights" in caught.value.what and "features" in caught.value.what
    assert str(caught.value.got).startswith("7.0 GB free in ") and "--store" in str(caught.value.fix)
    assert not hub.asked
