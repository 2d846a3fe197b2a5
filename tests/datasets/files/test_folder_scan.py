"""Which files are found, in which order, and what is said about other layouts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.methods.algorithms.golden_cases import GOLDEN
from uvlp.core.errors import UvlpError
from uvlp.datasets.files.folder_scan import scan


def tree(root: Path, *names: str) -> Path:
    """Empty files, since nothing is opened; ``both/...`` stands for train and val."""
    for name in names:
        split, _, rest = name.partition("/")
        for where in ("train", "val") if split == "both" else (split,):
            path = root / where / rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def golden_selections() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / "evaluation" / "selection.json").read_text())
    assert found, "selection.json holds no case"
    return found


@pytest.mark.parametrize("case", golden_selections(), ids=lambda case: case["name"])
def test_the_first_files_are_those_of_the_reference(case: dict[str, Any], tmp_path: Path) -> None:
    on_disk, selected = case["files_on_disk"], [name for name, _ in case["selected"]]
    if isinstance(on_disk, str):  # the same files in every class, in words
        names = re.findall(r"\S+\.png", on_disk)
        on_disk = {name.split("/")[0]: names for name in selected}
    tree(tmp_path, *(f"both/{folder}/{name}" for folder, names in on_disk.items() for name in names))
    listing = scan(tmp_path)
    listed = {name.split("/")[0] for name in selected}  # a class list passes over other folders
    groups = zip(listing.classes, listing.files["train"], strict=True)
    first = [name for folder, names in groups if folder in listed for name in names[: case["ipc"]]]
    assert first == [f"train/{name}" for name in selected]


def test_folders_are_walked_in_the_order_of_their_whole_path(tmp_path: Path) -> None:
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
        "4 files are passed over, hidden or left behind by a system: ._9.png, .x",
        "6 images lie in a folder below their class folder: "
        "train/cat/a/z.png, train/cat/a-b/2.png, train/cat/a/x/1.png and 3 more",
    )
    assert listing.others == ("train/cat/n.txt", "val/cat/n.txt")


def test_classes_are_in_plain_string_order(tmp_path: Path) -> None:
    listing = scan(tree(tmp_path, *(f"both/{name}/1.png" for name in ("b", "a", "B", "10", "9"))))
    assert listing.classes == ("10", "9", "B", "a", "b")


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", "both/cat/1.png")
    (root / "train/dog").symlink_to(root / "train/cat")
    (root / "val/dog").mkdir()
    (root / "val/dog/2.png").symlink_to(root / "val/cat/1.png")
    assert scan(root).files["train"][1] == ("train/dog/1.png",)
    assert scan(root).files["val"][1] == ("val/dog/2.png",)


def refusal(root: Path) -> str:
    with pytest.raises(UvlpError) as caught:
        scan(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert re.search("dataset folder: not found: got '.*/nowhere'", refusal(tmp_path / "nowhere"))


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    assert re.search("not a folder: got '.*a.zip'", refusal(tmp_path / "a.zip"))


def test_a_missing_split_is_named_with_what_is_there(tmp_path: Path) -> None:
    assert "has no folder val: got 'test, train'" in refusal(
        tree(tmp_path, "train/cat/1.png", "test/cat/1.png")
    )
    assert "has no folder train and no folder val: got 'no folders'" in refusal(tree(tmp_path / "x", ".keep"))


def test_a_dataset_one_folder_deeper_is_offered(tmp_path: Path) -> None:
    tree(tmp_path / "inner", "both/cat/1.png")
    assert f"did you mean folder:{tmp_path / 'inner'}?" in refusal(tmp_path)


def test_different_classes_are_named_both_ways(tmp_path: Path) -> None:
    names = ["both/cat/1.png", *(f"train/{letter}/1.png" for letter in "abcde"), "val/emu/1.png"]
    assert "only in train: a, b, c and 2 more; only in val: emu" in refusal(tree(tmp_path, *names))


def test_no_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    assert "train has no class folders" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("both/dog/.DS_Store", "an empty folder"),
        ("both/dog/a.txt", "1 other files"),
        ("both/dog/.h/1.png", "an empty"),
    ],
)
def test_a_class_without_images_is_named(inside: str, said: str, tmp_path: Path) -> None:
    line = refusal(tree(tmp_path, "both/cat/1.png", inside))
    assert re.search(f"class folder without images: .*train/dog: got '{said}", line)


def test_files_beside_the_class_folders_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png", "both/metadata.jsonl", "train/.hidden")
    scan(tmp_path)
    line = refusal(tree(tmp_path, "train/5.png", "train/labels.csv"))
    assert "train holds files beside the class folders: got '5.png, labels.csv'" in line


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png")
    (tmp_path / "train/cat/again").symlink_to(tmp_path / "train")
    assert re.search("a link to a folder that it lies in: got '.*/cat/again", refusal(tmp_path))


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png")
    (tmp_path / "val/cat/2.png").symlink_to(tmp_path / "gone.png")
    assert re.search("a link to nothing: got '.*/val/cat/2.png'", refusal(tmp_path))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "both/cat/1.png", "both/cat/\udcff.png")
    assert "is not plain UTF-8 text" in refusal(tmp_path)
