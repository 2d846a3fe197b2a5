"""Invalid images, captions and teachers are refused before any work."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from tests.datasets import published
from tests.pipeline.preflight.requests import NANO, RDED, Call, folder
from uvlp.artifacts.store import Store
from uvlp.cli import app
from uvlp.datasets.files.class_lists import wordnet_classes
from uvlp.pipeline.folders.collect import Collect
from uvlp.pipeline.folders.rows import Row
from uvlp.pipeline.making.remaining import missing
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.protocols.training import rded_networks
from uvlp.recipes.requests.request import Request


@pytest.mark.parametrize("kind", ["another network", "other classes", "NaN"])
def test_teacher_that_does_not_fit_is_refused(kind: str, refused: Call, tmp_path: Path) -> None:
    classes = 7 if kind == "other classes" else 10
    made = rded_networks.build("conv4" if kind == "another network" else "conv3", classes=classes, size_px=16)
    state = made.state_dict()
    if kind == "NaN":
        state["classifier.bias"][0] = float("nan")
    path = tmp_path / "teacher.safetensors"
    save_file(state, path)
    error = refused(*RDED, f"--set=teacher.source={path}")
    assert str(path) in f"{error.what} {error.got}"


def foreign(name: str) -> bytes:
    """Return a file whose header shows that it is not a training image."""
    if name == "wide":
        content = io.BytesIO()
        Image.fromarray(np.zeros((4, 4), np.float32)).save(content, "TIFF")
        return content.getvalue()
    return {"text": b"not an image", "large": b"P6 60000 60000 255\n", "empty": b""}[name]


FOREIGN = {"text": "cannot read", "wide": "cannot read", "empty": "cannot read", "large": "too large"}


@pytest.mark.parametrize("kind", FOREIGN)
def test_invalid_image_of_a_named_dataset_is_refused(kind: str, refused: Call, tmp_path: Path) -> None:
    root = published.fill(tmp_path / "imagenette2", (entry.id for entry in wordnet_classes("imagenette")))
    path = next((root / "val").iterdir()) / "x.JPEG"
    path.write_bytes(foreign(kind))
    error = refused("imagenette", "1", "--method=random", f"--data={tmp_path}", "--network=convnet-1")
    assert str(path) in error.what and FOREIGN[kind] in error.what and error.got


@pytest.mark.parametrize("kind", FOREIGN)
def test_invalid_image_of_a_scored_folder_is_refused(kind: str, refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=2, train=4, val=4)
    path = folder(tmp_path / "made", classes=2, train=2, val=1) / "train" / "class1" / "1.png"
    path.write_bytes(foreign(kind))
    arguments = (str(path.parent.parent), f"--dataset=folder:{root}", "--profile=nano", "--protocol=rded")
    error = refused(*arguments, command="evaluate")
    assert str(path) in error.what and FOREIGN[kind] in error.what and error.got


def test_images_are_decoded_before_long_stages(tmp_path: Path) -> None:
    """Damaged pixels of a scored folder are noticed before a teacher is trained for it."""
    root = folder(tmp_path / "images", classes=2, train=4, val=4)
    made = folder(tmp_path / "made", classes=2, train=2, val=1) / "train"
    store = Store(tmp_path / "store")
    request = Request(dataset=f"folder:{root}", ipc=2, protocol="rded", profile="nano", methods=["random"])
    rows = (Row(name="", paths=(str(made),)),)
    collect = Collect(rows=rows, ipc=None, select="first")
    plan = prepare(check(resolve(request)), store, "tabulate", collect)
    stages = [task.stage for task in missing(plan, store)]
    assert set(stages[:2]) == {"pixels", "collect"} and "teacher" in stages[2:]


NETWORK_FEATURES = (*NANO[1:], "--method=herding", "--set=herding.features=network")
ONE_CLASS: Mapping[str, tuple[str, ...]] = {
    "too few classes to classify": (*NANO[1:], "--method=full"),
    "too few classes to train a teacher": RDED[1:],
    "too few classes to train the feature network": NETWORK_FEATURES,
}


@pytest.mark.parametrize("what", ONE_CLASS)
def test_single_class_cannot_be_scored(what: str, refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=1, train=4, val=4)
    error = refused(f"folder:{root}", *ONE_CLASS[what])
    assert (error.what, error.got, error.allowed) == (what, 1, "2 or more") and error.fix


def test_scored_folder_with_a_single_class_is_refused(refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=1, train=4, val=4)
    made = folder(tmp_path / "made", classes=1, train=4, val=4) / "train"
    error = refused(str(made), f"--dataset=folder:{root}", "--profile=nano", command="evaluate")
    assert (error.what, error.got) == ("too few classes to classify", 1)


@pytest.mark.parametrize("more", [["--dry-run"], pytest.param([], marks=pytest.mark.slow)])
def test_images_of_a_single_class_can_be_synthesised(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "images", classes=1, train=4, val=4)
    arguments = [
        "synthesise",
        f"folder:{root}",
        *NANO[1:],
        "--method=random",
        f"--store={tmp_path / 'store'}",
    ]
    monkeypatch.setattr(sys, "argv", ["uvlp", *arguments, *more])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code


def test_missing_captions_are_counted(refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=2, train=4, val=2)
    (root / "train" / "metadata.jsonl").write_text('{"file_name": "class0/0.png", "text": "x"}\n')
    error = refused(f"folder:{root}", *NANO[1:], "--method=uvlp", "--missing-captions=stop")
    assert "7 of 8" in f"{error.what} {error.got}"
