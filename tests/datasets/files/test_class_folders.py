"""Class folders: matching them to classes, choosing images, errors."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.methods.algorithms.golden_cases import GOLDEN
from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import ClassInfo
from uvlp.artifacts.distilled import Entry
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_folders import ClassFolders, content_hash, scan_classes


def classes(*pairs: str) -> tuple[ClassInfo, ...]:
    """``classes("n02 dog", "n01 cat")``: ids and readable names in label order."""
    split = [pair.partition(" ") for pair in pairs]
    return tuple(
        ClassInfo(id=identity, name=name or identity, index=index, train=9, val=9)
        for index, (identity, _, name) in enumerate(split)
    )


# Label order is not alphabetical, as a dataset plug-in may have it.
THREE = classes("n30 golden retriever", "n10 tench, Tinca tinca", "n20 Samoyed")
DIGITS = classes(*(f"{digit} {name}" for digit, name in enumerate(("zero", "one", "two", "three"))))


def tree(root: Path, *names: str) -> Path:
    """Create files with different contents and an image header; scanning does not open them."""
    root.mkdir(exist_ok=True)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"P5 1 1 255\n{name}")
    return root


def scan(
    root: Path,
    known: tuple[ClassInfo, ...] = THREE,
    ipc: int | None = None,
    select: str = "first",
    seed: int = 0,
) -> ClassFolders:
    return scan_classes(root, known, ipc=ipc, select=select, seed=seed)


def refusal(root: Path, known: tuple[ClassInfo, ...] = THREE, **more: Any) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        scan(root, known, **more)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("folders", "naming"),  # folders of n30, n10, n20
    [
        (("n30", "n10", "n20"), "id"),
        (("golden retriever", "tench, Tinca tinca", "Samoyed"), "name"),
        (("golden_retriever", "tench", "Samoyed"), "name"),
        (("golden_retriever", "Tinca_tinca", "Samoyed"), "name"),
        (("00000", "00001", "00002"), "index"),
        (("0", "1", "2"), "index"),
    ],
)
def test_every_naming_gives_the_same_labels(folders: tuple[str, ...], naming: str, tmp_path: Path) -> None:
    found = scan(tree(tmp_path, *(f"{folder}/{slot}.png" for folder in folders for slot in (0, 1))))
    n30, n10, n20 = folders
    assert found.files == tuple(
        (f"{folder}/{slot}.png", label) for folder, label in ((n30, 0), (n10, 1), (n20, 2)) for slot in (0, 1)
    )
    assert (found.naming, found.ipc, found.select, found.root) == (naming, 2, "first", tmp_path)


def test_a_note_explains_indices_but_not_ids(tmp_path: Path) -> None:
    assert scan(tree(tmp_path / "a", "n10/0.png", "n20/0.png", "n30/0.png")).notes == ()
    assert scan(tree(tmp_path / "b", "00000/0.png", "00001/0.png", "00002/0.png")).notes == (
        "folder names are read as indices of the dataset's classes: "
        "0 is n30 (golden retriever), 1 is n10 (tench, Tinca tinca), 2 is n20 (Samoyed)",
    )


def test_different_case_is_accepted_with_a_note(tmp_path: Path) -> None:
    found = scan(tree(tmp_path, "Golden_Retriever/0.png", "tench/0.png", "samoyed/0.png"))
    assert found.files == (
        ("Golden_Retriever/0.png", 0),
        ("tench/0.png", 1),
        ("samoyed/0.png", 2),
    )
    assert found.notes == (
        "folder names differ from the class names in case: "
        "Golden_Retriever is n30 (golden retriever), samoyed is n20 (Samoyed)",
    )


def test_digits_are_ids_and_five_digits_are_indices(tmp_path: Path) -> None:
    assert scan(tree(tmp_path / "a", *(f"{i}/0.png" for i in range(4))), DIGITS).naming == "id"
    found = scan(tree(tmp_path / "b", *(f"{i:05d}/0.png" for i in range(4))), DIGITS)
    assert found.naming == "index"
    assert found.files == tuple((f"{i:05d}/0.png", i) for i in range(4))


def test_indices_are_those_of_the_classes_even_if_ids_are_numbers(tmp_path: Path) -> None:
    twelve = classes(*map(str, range(12)))
    found = scan(tree(tmp_path, *(f"{i:05d}/0.png" for i in range(12))), twelve)
    assert found.files == tuple((f"{i:05d}/0.png", i) for i in range(12))
    assert found.notes[0].endswith(": 0 is 0, 11 is 11")


def test_five_digit_ids_take_precedence_over_indices(tmp_path: Path) -> None:
    from_one = classes("00001", "00002")
    found = scan(tree(tmp_path, "00001/0.png", "00002/0.png"), from_one)
    assert (found.naming, found.files) == ("id", (("00001/0.png", 0), ("00002/0.png", 1)))


def test_images_are_found_below_train_or_the_path_itself(tmp_path: Path) -> None:
    inner = tree(tmp_path, *(f"train/{name}/0.png" for name in ("n10", "n20", "n30")), "contact_sheet.png")
    found = scan(inner)
    assert found.root == tmp_path / "train" and found.files[0] == ("n30/0.png", 0)
    assert found.notes == (f"the images are taken from {tmp_path / 'train'}",)
    assert scan(tmp_path / "train").files == found.files
    assert scan(tmp_path / "train").notes == ()


def test_images_of_a_method_are_read_in_the_order_in_which_it_made_them(tmp_path: Path) -> None:
    """Else the same images, scored as a folder, have another accuracy than the method's row."""
    made = [
        Entry(file_name=f"{info.id}/{slot:05d}.png", label=info.index, class_id=info.id, class_name=info.name)
        for info in THREE
        for slot in (0, 1)
    ]
    images = [np.full((4, 4, 3), row, dtype=np.uint8) for row in range(len(made))]
    distilled.write(tmp_path, made, images, images)
    assert scan(tmp_path / "train").files == tuple((entry.file_name, entry.label) for entry in made)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    found = scan(tree(tmp_path, "train/0.png", "bus/0.png"), classes("bus", "train"))
    assert (found.root, found.files) == (tmp_path, (("bus/0.png", 0), ("train/0.png", 1)))


def golden_selections() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((GOLDEN / "evaluation" / "selection.json").read_text())
    assert cases, "selection.json has no cases"
    return cases


def test_the_first_files_and_their_order_are_those_of_the_reference(tmp_path: Path) -> None:
    for row, case in enumerate(golden_selections()):
        label_of = {name.split("/")[0]: label for name, label in case["selected"]}
        on_disk = case["files_on_disk"]
        if isinstance(on_disk, str):  # a description: the same files in every class
            on_disk = dict.fromkeys(label_of, re.findall(r"\S+\.png", on_disk))
        names = [f"{folder}/{name}" for folder in label_of for name in on_disk[folder]]
        known = classes(*sorted(label_of))  # labels of the reference are others, its order of files is this
        found = scan(tree(tmp_path / str(row), *names), known, ipc=case["ipc"])
        order = {info.index: label_of[info.id] for info in known}
        files = [[name, order[label]] for name, label in found.files]
        assert files == [list(pair) for pair in case["selected"]], case["name"]


def hundred(root: Path) -> Path:
    return tree(root, *(f"{name}/{slot}.png" for name in ("n10", "n20", "n30") for slot in range(100)))


def test_the_first_files_in_string_order_are_used_and_the_rest_counted(tmp_path: Path) -> None:
    found = scan(hundred(tmp_path), ipc=10)
    slots = [0, 1, *range(10, 18)]
    assert [name for name, label in found.files if label == 0] == [f"n30/{slot}.png" for slot in slots]
    assert found.notes == (
        "270 of 300 images are left out, 10 of each class are used, first in string order: "
        "of n30 0.png, 1.png, 10.png and 7 more",
    )


def slots_by_label(found: ClassFolders) -> dict[int, list[str]]:
    by_label: dict[int, list[str]] = {}
    for name, label in found.files:
        by_label.setdefault(label, []).append(Path(name).name)
    return by_label


def test_a_draw_follows_the_seed_and_keeps_the_order(tmp_path: Path) -> None:
    hundred(tmp_path)
    first, again, other = (scan(tmp_path, ipc=10, select="drawn", seed=seed) for seed in (0, 0, 1))
    assert first == again and first.files != other.files and first.select == "drawn"
    drawn = slots_by_label(first)
    assert all(len(set(slots)) == 10 and slots == sorted(slots) for slots in drawn.values())
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    more = slots_by_label(scan(tmp_path, ipc=20, select="drawn"))
    assert all(set(drawn[label]) < set(more[label]) for label in drawn)
    assert "10 of each class are used, drawn from seed 0: of n30 " in first.notes[0]


def test_a_draw_of_all_images_equals_the_first(tmp_path: Path) -> None:
    hundred(tmp_path)
    assert scan(tmp_path, ipc=100, select="drawn", seed=7) == scan(tmp_path)


def test_subfolders_and_links_are_followed_and_other_files_counted(tmp_path: Path) -> None:
    tree(tmp_path, "n10/b.PNG", "n10/a/z.jpg", "n10/log.txt", "n20/1.webp", "n20/0.bmp", "notes.json", ".x")
    tree(tmp_path, "n20/2.gif")
    (tmp_path / "n30").symlink_to(tmp_path / "n20")
    found = scan(tmp_path)
    assert [name for name, _ in found.files] == [
        *("n30/0.bmp", "n30/1.webp", "n10/b.PNG", "n10/a/z.jpg", "n20/0.bmp", "n20/1.webp")
    ]
    assert found.notes == (
        "files beside the class folders are not used: notes.json",
        "1 file was skipped, hidden or left behind by an operating system: .x",
        "1 image is in a folder below its class folder: n10/a/z.jpg",
        "3 files without an image extension are not used",
    )


@pytest.mark.parametrize(
    ("names", "got", "allowed"),
    [
        (
            ("n10/0.png", "n20/0.png", "n30/0.png", "dog/0.png", "results/log.txt"),
            "dog, results",
            "ids such as n30, names such as 'golden retriever', or indices 00000 to 00002",
        ),
        (("train/a/0.png", "val/a/0.png"), "a", "ids such as n30"),
        (("00000/0.png", "00001/0.png", "00003/0.png"), "00003", "ids such as n30"),
        (("n20/0.png",), "nothing for n30 (golden retriever), n10 (tench, Tinca tinca)", "every class"),
        (
            ("n10/0.png", "Samoyed/0.png", "00002/0.png"),
            "by index: 00002; by name: Samoyed; by id: n10",
            "one naming for all folders",
        ),
        (("0/0.png", "00000/0.png", "1/0.png", "2/0.png"), "0, 00000", "one folder for n30 (golden"),
        (
            ("tench/0.png", "Tench/0.png", "Samoyed/0.png", "golden retriever/0.png"),
            "Tench, tench",
            "one folder for n10 (tench",
        ),
        (("n10/0.png", "n20/a.txt", "n30/0.png"), "1 other files", ".png"),
        (("n10/0.png", "n20/0.png", "n30/0.png", "5.JPG"), "5.JPG", "PATH/<class>/<images>"),
        (("0.png", "1.png"), "0.png, 1.png", "PATH/<class>/<images>"),
        (("train/0.png",), "0.png", "PATH/<class>/<images>"),
        ((), None, "PATH/<class>/<images> or PATH/train"),
        (("log.txt",), None, "PATH/<class>/<images>"),
    ],
)
def test_invalid_class_folders_are_refused(
    names: tuple[str, ...], got: str | None, allowed: str, tmp_path: Path
) -> None:
    error = refusal(tree(tmp_path / "images", *names))
    assert error.got == got and allowed in str(error.allowed)


def test_plain_numbers_are_not_indices_if_ids_are_numbers(tmp_path: Path) -> None:
    known = classes("1", "2", "3")
    assert refusal(tree(tmp_path, "0/0.png", "1/0.png", "2/0.png"), known).got == "0"


@pytest.mark.parametrize(
    ("known", "folders", "allowed"),
    [
        (("n1 crane", "n2 crane, bird"), ("crane", "bird"), "n1 (crane) or n2 (crane, bird)"),
        (("n1 Cat", "n2 cat"), ("CAT", "cat"), "n1 (Cat) or n2 (cat)"),
        (("a 1", "b 0"), ("0", "1"), "b (0) or a (1)"),
    ],
)
def test_a_name_that_matches_two_classes_is_refused(
    known: tuple[str, ...], folders: tuple[str, ...], allowed: str, tmp_path: Path
) -> None:
    error = refusal(tree(tmp_path, *(f"{folder}/0.png" for folder in folders)), classes(*known))
    assert (error.got, error.allowed) == (folders[0], allowed)


def test_classes_may_differ_only_in_case(tmp_path: Path) -> None:
    found = scan(tree(tmp_path, "Cat/0.png", "cat/0.png"), classes("n1 Cat", "n2 cat"))
    assert (found.files, found.notes) == ((("Cat/0.png", 0), ("cat/0.png", 1)), ())


def test_a_missing_path_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    for name, what in (("nowhere", "image folder: not found"), ("a.zip", "image folder: not a folder")):
        error = refusal(tmp_path / name)
        assert (error.what, error.got) == (what, str(tmp_path / name))
        assert str(error.allowed).startswith("PATH/<class>")


def test_classes_of_different_sizes_require_an_ipc(tmp_path: Path) -> None:
    tree(tmp_path, "n10/0.png", "n10/1.png", "n20/0.png", "n20/1.png", "n30/0.png", "n30/1.png", "n30/2.png")
    error = refusal(tmp_path)
    assert error.got == "2 in n10, n20; 3 in n30" and "--ipc, at most 2" in str(error.fix)
    assert scan(tmp_path, ipc=2).ipc == 2
    error = refusal(tmp_path, ipc=3)
    assert (error.got, error.allowed) == ("2 of class n10, 2 of class n20", "3 or more")
    assert str(tmp_path) in error.what and "--ipc, at most 2" in str(error.fix)


def test_an_unknown_selection_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, select="draw")
    assert (error.got, error.allowed) == ("draw", "drawn, first") and "'drawn'" in str(error.fix)


def hash_of(found: ClassFolders, cache: Path) -> str:
    return content_hash(found, cache, Progress())[0]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tree(
        tmp_path / "images", *(f"{name}/{slot}.png" for name in ("n10", "n20", "n30") for slot in "01")
    )


CHANGES: dict[str, Callable[[Path], object]] = {
    "bytes": lambda root: (root / "n10/1.png").write_bytes((root / "n10/0.png").read_bytes()),
    "file name": lambda root: (root / "n10/1.png").rename(root / "n10/2.png"),
    "labels": lambda root: (
        (root / "n10").rename(root / "x"),
        (root / "n20").rename(root / "n10"),
        (root / "x").rename(root / "n20"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_hash_depends_on_the_used_images(change: str, images: Path, tmp_path: Path) -> None:
    before = hash_of(scan(images), tmp_path / "cache")
    assert hash_of(scan(images), tmp_path / "cache") == hash_of(scan(images), tmp_path / "other") == before
    CHANGES[change](images)
    assert hash_of(scan(images), tmp_path / "cache") != before


def test_the_hash_ignores_the_path_and_unused_files(images: Path, tmp_path: Path) -> None:
    before = hash_of(scan(images, ipc=1), tmp_path / "cache")
    (images / "n10/1.png").write_text("other")
    images.rename(tmp_path / "moved")
    assert hash_of(scan(tmp_path / "moved", ipc=1), tmp_path / "cache") == before


def test_the_hash_depends_on_the_labels(images: Path, tmp_path: Path) -> None:
    orders = (THREE, classes("n10", "n20", "n30"))
    first, second = (hash_of(scan(images, known), tmp_path / "cache") for known in orders)
    assert first != second
