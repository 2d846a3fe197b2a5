"""Profile sd15 from captions to the table, on tiny random models in the format of the published ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import tiny_models
from tests.cli.test_reproduce import uvlp
from uvlp.artifacts import distilled
from uvlp.artifacts.store import Store
from uvlp.pipeline.estimates.least import least
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

METHODS = "random,d4m,vlcp,uvlp"
CLASSES = {"n00000001": (200, 60, 60), "n00000002": (60, 200, 60), "n00000003": (60, 60, 200)}
IPC = 2
pytestmark = pytest.mark.slow
SMALL = {
    "image_px": 64,
    "finetune.resolution_px": 64,
    "finetune.epochs": 1,
    "finetune.batch": 4,
    "finetune.accumulation": 1,
    "caption.max_new_tokens": 8,
    "evaluate.size_px": 32,
    "evaluate.width": 8,
    "evaluate.epochs": 2,
    "evaluate.validations": 2,
    "uvlp.synthesis.steps": 4,
    "vlcp.synthesis.steps": 4,
    "d4m.synthesis.steps": 4,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of generated JPEGs, 80 x 60 px."""
    root = tmp_path_factory.mktemp("set")
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name, colour in CLASSES.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(np.asarray(colour) + random.integers(-60, 60, (60, 80, 3)), 0, 255)
                file = root / split / name / f"{name}_{number}.JPEG"
                Image.fromarray(pixels.astype(np.uint8)).save(file, quality=90)
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The settings that name the three models."""
    root = tmp_path_factory.mktemp("models")
    return {
        "models.diffusion": str(tiny_models.diffusion(root / "diffusion")),
        "models.clip": f"local-dir:{tiny_models.clip(root / 'clip')}",
        "models.llava": str(tiny_models.llava(root / "llava")),
    }


@pytest.fixture(scope="module")
def arguments(images: Path, models: Mapping[str, str]) -> list[str]:
    settings = [f"--set={name}={value}" for name, value in {**SMALL, **models}.items()]
    chain = ["reproduce", f"folder:{images}", str(IPC), "--profile", "sd15", "--offline", "--workers", "1"]
    return [*chain, "--network", "convnet-3", "--repeats", "1", "--method", METHODS, *settings]


@pytest.fixture(scope="module")
def finished(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The store, and the JSON output of the run."""
    store = tmp_path_factory.mktemp("store")
    printed = json.loads(uvlp(*arguments, "--json", store=store).stdout)
    return store, printed


def test_complete_chain_makes_all_artifacts(finished: tuple[Path, dict[str, Any]]) -> None:
    store, printed = finished
    cells = {cell["method"]: cell for cell in printed["table"]["cells"]}
    assert list(cells) == METHODS.split(",")
    assert all(0 <= cell["best_pct"][0] <= 100 for cell in cells.values())
    for title in (
        "captions",
        "fine-tuned Stable Diffusion, seed 0",
        "features of images",
        "features of texts",
    ):
        assert (store / printed["artifacts"][title] / "manifest.json").is_file(), title
    for method in METHODS.split(","):
        folder = store / printed["artifacts"][f"{method} images, seed 0"]
        entries = distilled.read_entries(folder)
        assert [entry.class_id for entry in entries] == [name for name in CLASSES for _ in range(IPC)]
    assert not list((store / "partial").glob("*")), "temporary files are removed"


ARRAYS = {
    "pixels": ("validation",),
    "prototypes": ("latents",),
    "features": ("image", "mean", "deviation", "text", "latents"),
}


def test_minimum_disk_space_equals_the_size_of_the_arrays(
    finished: tuple[Path, dict[str, Any]], images: Path, models: Mapping[str, str]
) -> None:
    store = Store(finished[0])
    settings = [f"{name}={value}" for name, value in {**SMALL, **models}.items()]
    asked = Request(
        dataset=f"folder:{images}",
        ipc=IPC,
        methods=METHODS.split(","),
        networks=["convnet-3"],
        repeats=1,
        profile="sd15",
        settings=settings,
    )
    plan = prepare(check(resolve(asked)), store, "tabulate")
    tasks = plan.tasks
    assert all(map(store.has, tasks)), "the same run"
    for task in tasks:
        size, folder = least(task, plan), store.folder(task)
        if task.kind in ARRAYS:
            files = (folder / f"{name}.npy" for name in ARRAYS[task.kind])
            taken = sum(np.load(file, mmap_mode="r").nbytes for file in files if file.is_file())
            assert size.kept == taken > 0 and not size.temporary, task.title
        else:
            taken = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            assert size.kept <= taken, task.title
    assert {task.kind for task in tasks} >= ARRAYS.keys()
    (encoded,) = (task for task in tasks if task.stage == "encode")
    assert least(encoded, plan).kept == 36 * 2 * 2 * 2 * 4 * 8 * 8, "mirrored moments"
    (tuned,) = (task for task in tasks if task.kind == "weights")
    assert not least(tuned, plan).temporary, "no checkpoints"


def test_manifest_records_the_models(
    finished: tuple[Path, dict[str, Any]], models: Mapping[str, str]
) -> None:
    store, printed = finished
    content = json.loads((store / printed["artifacts"]["captions"] / "manifest.json").read_text())
    assert content["made"]["origins"] == {"llava": models["models.llava"]}
    assert set(content["facts"]["models"]) == {"llava"} and len(content["facts"]["models"]["llava"]) == 64


def test_second_call_computes_nothing(arguments: list[str], finished: tuple[Path, dict[str, Any]]) -> None:
    assert json.loads(uvlp(*arguments, "--json", store=finished[0]).stdout)["made"] == 0


def test_copied_models_have_the_same_keys(
    arguments: list[str],
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
) -> None:
    clip = f"local-dir:{tiny_models.clip(tmp_path / 'clip')}"
    moved = [each if "models.clip" not in each else f"--set=models.clip={clip}" for each in arguments]
    rows = json.loads(uvlp(*moved, "--dry-run", "--json", store=finished[0]).stdout)["artifacts"]
    assert rows and not any(row["make"] for row in rows)


def test_d4m_uses_the_published_model_and_others_the_finetuned_one(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    store, printed = finished

    def inputs(method: str) -> set[str]:
        folder = store / printed["artifacts"][f"{method} images, seed 0"]
        return set(json.loads((folder / "manifest.json").read_text())["inputs"])

    assert "diffuser" not in inputs("d4m")
    assert "diffuser" in inputs("vlcp") and "diffuser" in inputs("uvlp")
