"""Paths that are a few levels too high or too low: the error suggests the intended folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.datasets.files.test_image_folder import Call, call as call, dataset, draw
from tests.datasets.published import fill
from uvlp.datasets.files.class_lists import wordnet_classes

CLASSES = ("cat", "dog", "emu")


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return dataset(tmp_path / "known", *CLASSES)


def result(folder: Path) -> Path:
    """Create a folder of images like a method's output."""
    for seed, name in enumerate(CLASSES):
        draw(folder / name / "0.png", seed)
    return folder


@pytest.mark.parametrize(
    ("there", "given"),
    [
        ("out/dataset_0", "out"),
        ("out/run_seed0/10", "out"),
        ("out/method/ipc10/seed_0", "out"),
        ("out/images", "out"),
        ("out/dataset_0/train", "out"),
        ("out/dataset_0", "out/dataset_0/cat"),
        ("out", "out/cat"),
    ],
)
def test_the_intended_folder_is_suggested(
    there: str, given: str, call: Call, known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result(tmp_path / there)
    monkeypatch.chdir(tmp_path)
    answer = call.evaluate(Path(given), known)
    assert answer.code == 2
    assert answer.error.endswith(f"did you mean {there.removesuffix('/train')}?")
    assert call.evaluate(Path(there), known).code == 0


def test_several_matching_folders_are_suggested_as_seeds(call: Call, known: Path, tmp_path: Path) -> None:
    for seed in range(3):
        result(tmp_path / "out" / f"dataset_{seed}")
    answer = call.evaluate(tmp_path / "out", known)
    assert answer.code == 2 and "did you mean one of" in answer.error
    assert f"NAME={tmp_path}/out/dataset_0,{tmp_path}/out/dataset_1" in answer.error


def test_the_folder_of_a_single_class_is_refused(call: Call, known: Path, tmp_path: Path) -> None:
    draw(tmp_path / "out/cat/0.png")
    answer = call.evaluate(tmp_path / "out/cat", known)
    assert answer.code == 2 and "this is the folder of a single class" in answer.error


def test_a_similar_name_is_suggested(call: Call, known: Path, tmp_path: Path) -> None:
    result(tmp_path / "out/dataset_0")
    answer = call.evaluate(tmp_path / "out/dataset0", known)
    assert answer.code == 2 and answer.error.endswith(f"did you mean {tmp_path}/out/dataset_0?")


def test_folders_of_several_ipc_are_not_suggested_as_seeds(call: Call, known: Path, tmp_path: Path) -> None:
    for ipc in ("ipc1", "ipc10"):
        result(tmp_path / "out" / ipc)
    answer = call.evaluate(tmp_path / "out", known)
    assert "did you mean one of" in answer.error and "NAME=" not in answer.error


def test_sorting_is_suggested_for_images_named_after_their_class(
    call: Call, known: Path, tmp_path: Path
) -> None:
    for seed, name in enumerate(CLASSES):
        draw(tmp_path / "flat/flat" / f"{name}_{seed}.png", seed)
    for given in ("flat", ""):
        answer = call.evaluate(tmp_path / "flat" / given, known)
        assert answer.code == 2 and "move cat_0.png into a folder cat/" in answer.error
    for seed in range(3):
        draw(tmp_path / "numbered" / f"{seed}.png", seed)
    answer = call.evaluate(tmp_path / "numbered", known)
    assert answer.code == 2 and "into a folder" not in answer.error


def test_folders_of_other_classes_are_not_suggested(call: Call, known: Path, tmp_path: Path) -> None:
    for name in ("cat", "tiger"):
        draw(tmp_path / "out" / "other" / name / "0.png")
    answer = call.evaluate(tmp_path / "out", known)
    assert answer.code == 2 and "did you mean" not in answer.error


@pytest.mark.parametrize("given", ["sets/known/train", "sets/known/val/cat", "sets", ""])
def test_a_nearby_image_dataset_is_suggested(given: str, call: Call, tmp_path: Path) -> None:
    dataset(tmp_path / "here/sets/known", *CLASSES)
    for answer in (
        call.reproduce(tmp_path / "here" / given),
        call("captions", "check", "--dataset", f"folder:{tmp_path / 'here' / given}"),
    ):
        assert answer.code == 2
        assert f"did you mean folder:{tmp_path}/here/sets/known?" in answer.error


@pytest.mark.parametrize(
    ("splits", "fix"),
    [
        (("train", "test"), "rename test to val"),
        (("Training", "Valid"), "rename Training to train and Valid to val"),
        (("cat/train", "cat/val"), None),
    ],
)
def test_renaming_is_suggested_for_other_names_of_the_splits(
    splits: tuple[str, ...], fix: str | None, call: Call, tmp_path: Path
) -> None:
    for split in splits:
        draw(tmp_path / "set" / split / "0.png" if fix is None else tmp_path / "set" / split / "cat/0.png")
    answer = call.reproduce(tmp_path / "set")
    assert answer.code == 2
    assert answer.error.endswith(fix) if fix else "did you mean" not in answer.error


def test_an_extra_folder_around_the_classes_is_refused(call: Call, tmp_path: Path) -> None:
    for split in ("train", "val"):
        result(tmp_path / "set" / split / "images")
    answer = call.reproduce(tmp_path / "set")
    assert answer.code == 2 and "an extra folder around the class folders" in answer.error
    assert "train/images/cat" in answer.error


def named(folder: Path, name: str) -> Path:
    return fill(folder, [entry.id for entry in wordnet_classes(name)], (1, 1))


def imagenette(folder: Path) -> Path:
    return named(folder / "imagenette2", "imagenette")


def ilsvrc(folder: Path) -> Path:
    return named(folder / "ILSVRC/Data/CLS-LOC", "imageidc")


def cifar(folder: Path) -> Path:
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    (folder / "cifar-10-batches-bin/data_batch_1.bin").touch()
    return folder / "cifar-10-batches-bin"


@pytest.mark.parametrize(
    ("name", "make", "given"),
    [
        ("imagenette", imagenette, "imagenette2/train"),
        ("imagenette", imagenette, "imagenette2/train/n01440764"),
        ("imagenette", imagenette, ".."),
        ("imageidc", ilsvrc, "ILSVRC/Data/CLS-LOC/train"),
        ("imageidc", ilsvrc, ".."),
        ("cifar10", cifar, ".."),
    ],
)
def test_a_nearby_published_dataset_is_suggested_and_nothing_is_downloaded(
    name: str, make: Callable[[Path], Path], given: str, call: Call, tmp_path: Path
) -> None:
    there = make(tmp_path / "data" / "inner")
    arguments = (
        name,
        "1",
        "--data",
        tmp_path / "data" / "inner" / given,
        "--method",
        "random",
        "--profile",
        "nano",
    )
    answer = call("reproduce", *arguments)
    suggestions = [f"did you mean --data {path}?" for path in (there, there.parent, tmp_path / "data/inner")]
    assert answer.code == 2 and any(each in answer.error for each in suggestions), answer.error
    dry = call("reproduce", *arguments, "--dry-run")
    assert any(each in dry.out + dry.error for each in suggestions)


def test_test_images_of_a_published_dataset_are_refused_as_training_images(
    call: Call, tmp_path: Path
) -> None:
    there = imagenette(tmp_path)
    options = ("--dataset", "imagenette", "--profile", "nano", "--no-random", "--dry-run")
    for data in (there, there.parent):
        answer = call("evaluate", there / "val", "--data", data, *options)
        assert answer.code == 2 and "these are the dataset's test images" in answer.error
        assert call("evaluate", there / "train", "--data", data, *options).code == 0


def test_nothing_is_downloaded_into_the_dataset_folder(call: Call, tmp_path: Path) -> None:
    there = imagenette(tmp_path)
    answer = call("fetch", "imagenette", "--data", there / "train")
    assert answer.code == 2 and answer.error.endswith(f"--data {tmp_path}")


def test_the_teacher_command_suggests_the_dataset_folder(call: Call, tmp_path: Path) -> None:
    there = imagenette(tmp_path)
    answer = call("teacher", "imagenette", "resnet18", "--data", there / "train", "--dry-run")
    assert answer.code == 2 and f"did you mean --data {there}?" in answer.error


def test_image_files_are_refused_in_place_of_a_binary_archive(call: Call, tmp_path: Path) -> None:
    for name in ("airplane", "automobile", "bird", "cat", "deer", "dog"):
        draw(tmp_path / "png" / "train" / name / "0.png")
    arguments = ("cifar10", "1", "--data", tmp_path / "png", "--method", "random", "--profile", "nano")
    answer = call("reproduce", *arguments)  # downloads nothing
    assert answer.code == 2
    for text in (answer.error, call("reproduce", *arguments, "--dry-run").error):
        assert "read from its binary archive" in text and "folder:PATH" in text
