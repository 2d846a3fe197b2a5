"""Listing of dataset folders: files, order, notes, errors about other layouts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.methods.algorithms.golden_cases import GOLDEN
from uvlp.core.errors import UvlpError
from uvlp.datasets.files.folder_scan import scan


def tree(root: Path, *names: str) -> Path:
    """Create empty files, which are not opened; ``both/...`` stands for train and val."""
    for name in names:
        split, _, rest = name.partition("/")
        for where in ("train", "val") if split == "both" else (split,):
            path = root / where / rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def golden_selections() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((GOLDEN / "evaluation" / "selection.json").read_text())
    assert cases, "selection.json has no cases"
    return cases


def test_the_first_files_are_those_of_the_reference(tmp_path: Path) -> None:
    for row, case in enumerate(golden_selections()):
        on_disk, selected = case["files_on_disk"], [name for name, _ in case["selected"]]
        if isinstance(on_disk, str):  # a description: the same files in every class
            names = re.findall(r"\S+\.png", on_disk)
            on_disk = {name.split("/")[0]: names for name in selected}
        files = (f"both/{folder}/{name}" for folder, names in on_disk.items() for name in names)
        listing = scan(tree(tmp_path / str(row), *files))
        listed = {name.split("/")[0] for name in selected}  # a class list skips other folders
        groups = zip(listing.classes, listing.files["train"], strict=True)
        first = [name for folder, names in groups if folder in listed for name in names[: case["ipc"]]]
        assert first == [f"train/{name}" for name in selected], case["name"]


def test_folders_are_sorted_by_their_full_path(tmp_path: Path) -> None:
    names = [
        "b.png",
        "a/z.png",
        "a/x/1.png",
        "a-b/2.png",
        "Z.JPEG",
        "10.png",
        "9.png",
        ".x/3.png",
        "._9.png",
        "n.txt",
    ]
    listing = scan(tree(tmp_path, *(f"both/cat/{name}" for name in names)))
    expected = ["10.png", "9.png", "Z.JPEG", "b.png", "a/z.png", "a-b/2.png", "a/x/1.png"]
    assert listing.files["train"] == (tuple(f"train/cat/{name}" for name in expected),)
    assert listing.files["val"] == (tuple(f"val/cat/{name}" for name in expected),)
    assert listing.notes == (
        "4 files were skipped, hidden or left behind by an operating system: ._9.png, .x",
        "6 images are in a folder below their class folder: "
        "train/cat/a/z.png, train/cat/a-b/2.png, train/cat/a/x/1.png and 3 more",
    )
    assert listing.others == ("train/cat/n.txt", "val/cat/n.txt")


def test_classes_are_in_string_order(tmp_path: Path) -> None:
    listing = scan(tree(tmp_path, *(f"both/{name}/1.png" for name in ("b", "a", "B", "10", "9"))))
    assert listing.classes == ("10", "9", "B", "a", "b")


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", "both/cat/1.png")
    (root / "train/dog").symlink_to(root / "train/cat")
    (root / "val/dog").mkdir()
    (root / "val/dog/2.png").symlink_to(root / "val/cat/1.png")
    assert scan(root).files["train"][1] == ("train/dog/1.png",)
    assert scan(root).files["val"][1] == ("val/dog/2.png",)


def refusal(root: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        scan(root)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_missing_path_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    for name, what in (("nowhere", "dataset folder: not found"), ("a.zip", "dataset folder: not a folder")):
        error = refusal(tmp_path / name)
        assert (error.what, error.got) == (what, str(tmp_path / name))


def test_a_missing_split_is_refused(tmp_path: Path) -> None:
    error = refusal(tree(tmp_path, "train/cat/1.png", "test/cat/1.png"))
    assert "val" in error.what and error.got == "test, train"
    error = refusal(tree(tmp_path / "x", ".keep"))
    assert "train" in error.what and "val" in error.what and error.got == "no folders"


def test_a_dataset_one_folder_deeper_is_suggested(tmp_path: Path) -> None:
    tree(tmp_path / "inner", "both/cat/1.png")
    assert f"folder:{tmp_path / 'inner'}?" in str(refusal(tmp_path).fix)


def test_different_classes_in_train_and_val_are_refused(tmp_path: Path) -> None:
    names = ["both/cat/1.png", *(f"train/{letter}/1.png" for letter in "abcde"), "val/emu/1.png"]
    assert refusal(tree(tmp_path, *names)).got == "only in train: a, b, c and 2 more; only in val: emu"


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    assert refusal(tmp_path).what == f"{tmp_path / 'train'} has no class folders"


@pytest.mark.parametrize(
    ("inside", "got"),
    [
        ("both/dog/.DS_Store", "an empty folder"),
        ("both/dog/a.txt", "1 other files"),
        ("both/dog/.h/1.png", "an empty folder"),
    ],
)
def test_a_class_without_images_is_refused(inside: str, got: str, tmp_path: Path) -> None:
    error = refusal(tree(tmp_path, "both/cat/1.png", inside))
    assert error.what.endswith("train/dog") and error.got == got


def test_files_beside_the_class_folders_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png", "both/metadata.jsonl", "train/.hidden")
    scan(tmp_path)
    assert refusal(tree(tmp_path, "train/5.png", "train/labels.csv")).got == "5.png, labels.csv"


def test_a_circular_link_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png")
    (tmp_path / "train/cat/again").symlink_to(tmp_path / "train")
    assert str(refusal(tmp_path).got).endswith("/cat/again/cat")


def test_a_broken_link_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png")
    (tmp_path / "val/cat/2.png").symlink_to(tmp_path / "gone.png")
    assert refusal(tmp_path).got == str(tmp_path / "val/cat/2.png")


def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png", "both/cat/\udcff.png")
    assert refusal(tmp_path).got == "\udcff.png"
