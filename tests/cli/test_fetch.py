"""`uvlp fetch`, and what `uvlp reproduce` fetches first, against a hub on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from tests import fake_hub, tiny_models
from tests.fake_hub import Hub, commit
from uvlp.artifacts.store import Store
from uvlp.cli import fetch
from uvlp.core.errors import UvlpError
from uvlp.models.published import find as pretrained, hub as hub_folders
from uvlp.models.published.sizes import OPENAI
from uvlp.pipeline import disk, transfers
from uvlp.pipeline.expected import table
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, ModelSettings, Recipe

MODELS = ModelSettings(
    diffusion="some/sd",
    diffusion_revision=commit("a"),
    clip="hf-hub:some/clip",
    llava="some/llava",
    llava_revision=commit("c"),
)
SET = [
    "models.diffusion=some/sd",
    f"models.diffusion_revision={commit('a')}",
    "models.clip=hf-hub:some/clip",
    "models.llava=some/llava",
    f"models.llava_revision={commit('c')}",
]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {kind: getattr(tiny_models, kind)(root / kind) for kind in ("diffusion", "clip", "llava")}


@pytest.fixture(autouse=True)
def hub(originals: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with fake_hub.serve() as served:
        names = {"diffusion": ("some/sd", "a"), "clip": ("some/clip", "b"), "llava": ("some/llava", "c")}
        for kind, (repository, digit) in names.items():
            served.folders[repository, commit(digit)] = originals[kind]
            served.newest[repository] = commit(digit)
        fake_hub.live_in(tmp_path / "home", monkeypatch, served.address)
        yield served


def recipe(**changes: Any) -> Recipe:
    usual: dict[str, Any] = {"methods": ("uvlp",), "pretrained": True, "models": MODELS}
    return Recipe(**(usual | changes))


def refused(*arguments: Any) -> str:
    with pytest.raises(UvlpError) as caught:
        arguments[0](*arguments[1:])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_models_are_announced_fetched_and_told(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch.run("models", "", "", SET, tmp_path / "cache", as_json=False)
    printed = capsys.readouterr()
    announced = [line for line in printed.err.splitlines() if line.startswith("fetch ")]
    assert [line.partition(":")[0] for line in announced] == [
        "fetch  Stable Diffusion 1.5",
        "fetch  CLIP",
        "fetch  LLaVA-1.5",
    ]
    assert all("unknown size" in line and str(tmp_path / "home" / "hub") in line for line in announced)
    assert (
        printed.err.index("together unknown size\n") < printed.err.index("begin") < printed.err.index("done")
    )
    for part, line in zip(("diffusion", "clip", "llava"), printed.out.splitlines(), strict=True):
        assert line.startswith(f"{part}: ") and pretrained.find(MODELS, part, tmp_path).sha256 in line
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fetch.run("models", "", "", SET, tmp_path / "cache", as_json=True)
    again = capsys.readouterr()
    assert json.loads(again.out)["fetched"] == [] and not hub.asked and "fetch " not in again.err
    assert [row["revision"] for row in json.loads(again.out)["here"]] == [commit(d) for d in "abc"]


def test_one_part_alone(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.run("autoencoder", "", "", SET, tmp_path, as_json=True)
    assert {name for name, _ in hub.asked} == {"config.json", "diffusion_pytorch_model.safetensors"}
    told = json.loads(capsys.readouterr().out)
    assert told["fetched"] == ["the autoencoder of Stable Diffusion 1.5"]
    assert [row["what"] for row in told["here"]] == ["autoencoder"]


def test_a_dataset_that_needs_no_transfer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.run("digits", "", "", [], tmp_path, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["here"]
    assert (row["what"], row["classes"], row["train"], row["val"]) == ("digits", 10, 1307, 490)
    assert len(row["sha256"]) == 64


def test_too_little_disk_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda place: 3_000_000_000)
    text = refused(fetch.run, "models", "", "", [], tmp_path, False)
    assert "got '3.0 GB'" in text and "allowed: 20.1 GB or more" in text and "HF_HOME" in text
    assert not hub.asked


def test_the_disk_must_hold_what_is_made_of_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda place: 7_000_000_000)
    colours = CaptionSettings(captioner="colours")
    asked = recipe(models=ModelSettings(), dataset="digits", ipc=1, image_px=512, caption=colours)
    text = refused(transfers.ensure, asked, Store(tmp_path), False, table)
    assert "weights" in text and "features" in text and "got '7.0 GB'" in text and "--store" in text
    assert not hub.asked


def test_known_sizes_are_summed_with_the_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, hub: Hub
) -> None:
    for repository in (ModelSettings().diffusion, OPENAI, ModelSettings().llava):
        hub.refuse[repository] = 401, "RepoNotFound"
    refused(fetch.run, "models", "", "", [], tmp_path, False)
    announced = capsys.readouterr().err
    assert "Stable Diffusion 1.5: 4.3 GB" in announced and "LLaVA-1.5: 14.1 GB" in announced
    assert "together 20.1 GB; about 27 min at 100 Mbit/s" in announced


@pytest.mark.parametrize(
    ("target", "settings", "words"),
    [
        ("imagenete", [], "did you mean 'imagenette'"),
        ("lava", [], "did you mean 'llava'"),
        ("models", ["evaluate.epochs=3"], "evaluate.epochs=3"),
        ("models", ["models.clip"], "models.FIELD=VALUE"),
        ("models", ["models.klip=x"], "did you mean 'clip'"),
        ("models", ["models.precision=half"], "setting models.precision"),
    ],
)
def test_what_cannot_be_meant(target: str, settings: list[str], words: str, tmp_path: Path) -> None:
    assert words in refused(fetch.run, target, "", "", settings, tmp_path, False)


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
def test_sides_are_compared_before_the_weights_of_an_autoencoder_come(
    changes: dict[str, Any],
    setting: str,
    originals: dict[str, Path],
    hub: Hub,
    tmp_path: Path,
) -> None:
    """With a level more than Stable Diffusion 1.5 has, its cells have 16 px."""
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
        transfers.ensure(asked, Store(tmp_path / "store"), offline=False, goal=table)
    assert (caught.value.what, caught.value.got) == (setting, 40)
    assert not [name for name, _ in hub.asked if name.endswith(".safetensors")]


def test_options_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    assert "--data" in refused(fetch.run, "clip", "/data", "", [], tmp_path, False)
    assert "--set" in refused(fetch.run, "digits", "", "", SET, tmp_path, False)
    assert "takes no --data" in refused(fetch.run, "digits", "/data", "", [], tmp_path, False)
    assert "unknown variant" in refused(fetch.run, "imagenette", "", "fastia", [], tmp_path, False)


def test_offline_names_everything_at_once(tmp_path: Path, hub: Hub) -> None:
    asked = recipe(
        dataset="imagenette", data=str(tmp_path / "data"), caption=CaptionSettings(captioner="auto")
    )
    text = refused(transfers.ensure, asked, tmp_path, True)
    commands = [
        f"`uvlp fetch imagenette --data {tmp_path / 'data'}`",
        "`uvlp fetch diffusion --set models.diffusion=some/sd",
        "`uvlp fetch clip --set models.clip=hf-hub:some/clip`",
        "`uvlp fetch llava --set models.llava=some/llava",
    ]
    places = ["some/sd/tree/", f" into {tmp_path / 'data'}", f" into {hub_folders.cache_folder()}"]
    folders = ["--data FOLDER", "--set models.clip=local-dir:FOLDER", "--set models.llava=FOLDER"]
    assert [words for words in [*commands, *places, *folders] if words not in text] == []
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
        ({"pretrained": False}, set()),
    ],
)
def test_a_recipe_fetches_what_it_reads(
    changes: dict[str, Any], parts: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = recipe(**changes)
    transfers.ensure(asked, Store(tmp_path), offline=False)
    here = set(pretrained.PARTS) - set(pretrained.needed(MODELS, ["clip", "llava", "diffusion"]))
    pipeline = {"autoencoder"} if "diffusion" in parts else set()
    whole = here - {"autoencoder"} | (parts & {"autoencoder"})
    assert whole == parts
    assert not pretrained.needed(MODELS, parts | pipeline)
    transfers.ensure(asked, Store(tmp_path), offline=True)


def test_a_finetuned_folder_stands_in_for_the_pipeline(originals: dict[str, Path], tmp_path: Path) -> None:
    from dataclasses import replace

    own = recipe(models=replace(MODELS, finetuned=str(originals["diffusion"])))
    text = refused(transfers.ensure, own, tmp_path, True)
    assert "the autoencoder" in text and "uvlp fetch diffusion" not in text
    base = recipe(models=own.models, methods=("d4m",))
    assert "uvlp fetch diffusion" in refused(transfers.ensure, base, tmp_path, True)


def test_what_is_finished_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.refuse["some/llava"] = 401, "GatedRepo"
    text = refused(fetch.run, "models", "", "", SET, tmp_path, False)
    assert "some/llava" in text and "HF_TOKEN" in text
    assert pretrained.find(MODELS, "clip", tmp_path)
    hub.asked.clear()
    hub.refuse.clear()
    fetch.run("models", "", "", SET, tmp_path, False)
    assert "open_clip_model.safetensors" not in {name for name, _ in hub.asked}
