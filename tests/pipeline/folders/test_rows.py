"""`uvlp evaluate NAME=FOLDER,FOLDER`: syntax of rows, and invalid folders of seeds."""

import json
import shutil
from pathlib import Path

import pytest

from tests.datasets.files.test_image_folder import Answer, Call, call as call, dataset, draw

CLASSES = ("cat", "dog", "emu")


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return dataset(tmp_path / "known", *CLASSES)


def made(name: str, seed: int, count: int = 1, classes: tuple[str, ...] = CLASSES) -> str:
    """Write a folder below the current one with images that depend on the seed."""
    for label, cls in enumerate(classes):
        for index in range(count):
            draw(Path(name) / cls / f"{index}.png", 1000 * seed + 10 * label + index)
    return name


def evaluate(call: Call, known: Path, *arguments: str) -> Answer:
    return call(
        *("evaluate", *arguments, "--dataset", f"folder:{known}", "--profile", "nano", "--no-random"),
        *("--dry-run", "--json"),
    )


def images(answer: Answer) -> list[str]:
    """Return the titles of the images that would be collected."""
    assert answer.code == 0, answer.error
    titles = [row["title"] for row in json.loads(answer.out)["artifacts"]]
    return [title.removeprefix("images of ") for title in titles if title.startswith("images of ")]


@pytest.mark.parametrize(
    ("folders", "arguments", "expected"),
    [
        (("a", "b"), ("ours=a,b",), ["ours, seed 0", "ours, seed 1"]),
        (("a", "b"), ("ours=a", "ours=b"), ["ours, seed 0", "ours, seed 1"]),
        (("a",), ("ours=a",), ["ours"]),
        (("a",), ("ours=a", "--seed", "0,1,2"), ["ours"]),
        (("a", "b", "c"), ("x=a,b", "y=c"), ["x, seed 0", "x, seed 1", "y"]),
        (("a", "b", "c"), ("x=a,b", "c"), ["x, seed 0", "x, seed 1", "c"]),
        (("a", "b"), ("ours=a,b", "--seed", "4,7"), ["ours, seed 4", "ours, seed 7"]),
        (("ours=a",), ("ours=a",), ["ours=a"]),
        (("lr=1,2", "lr=3"), ("ours=lr=1,2,lr=3",), ["ours, seed 0", "ours, seed 1"]),
        (("a,b", "c"), ("ours=c,a,b",), ["ours, seed 0", "ours, seed 1"]),
        (("a", "b", "a,b"), (r"ours=a\,b,b",), ["ours, seed 0", "ours, seed 1"]),
        (("a", "b"), (r"w\=2=a,b",), ["w=2, seed 0", "w=2, seed 1"]),
        (("a=b",), (r"a\=b",), ["a=b"]),
        (("out/lr=0.1",), ("out/lr=0.1",), ["lr=0.1"]),
    ],
)
def test_rows_are_parsed(
    folders: tuple[str, ...], arguments: tuple[str, ...], expected: list[str], call: Call, known: Path
) -> None:
    for seed, name in enumerate(folders):
        made(name, seed)
    assert images(evaluate(call, known, *arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ours=",), "a row without a folder"),
        (("ours=a,",), "a row without a folder"),
        (("=a",), "name of a row"),
        (("x" * 41 + "=a",), "name of a row"),
        (("ours=a,a",), "the same folder is given for several seeds"),
        (("ours=a,./a/../a",), "the same folder is given for several seeds"),
        (("ours=a,copy",), "two seeds have the same images"),
        (("ours=a,renamed",), "two seeds have the same images"),
        (("ours=a,more",), "different numbers of images per class: got '1 in a; 2 in more'"),
        (("ours=a,fewer",), "no folder for 1 of 3 classes"),
        (("ours=a,gone",), "not found: got '"),
        (("ours/v2=a,b",), "a name without a slash"),
        (("ours=*",), "a folder pattern in a row"),
        (("a,b",), "write NAME=a,b"),
        (("ours=a,b", "--seed", "3"), "--seed: the row ours has 2 folders"),
        (("ours=a,b", "--seed", "0,1,2"), "--seed: the row ours has 2 folders"),
    ],
)
def test_invalid_rows_are_refused(arguments: tuple[str, ...], message: str, call: Call, known: Path) -> None:
    made("a", 0), made("b", 1), made("more", 2, count=2), made("fewer", 3, classes=CLASSES[:2])
    shutil.copytree("a", "copy")
    for name in CLASSES:
        (Path("renamed") / name).mkdir(parents=True)
        shutil.copy(f"a/{name}/0.png", f"renamed/{name}/z.png")
    answer = evaluate(call, known, *arguments)
    assert answer.code == 2 and message in answer.error


def test_name_of_another_row_is_refused(call: Call, known: Path) -> None:
    made("a", 0)
    answer = call(*("evaluate", "random=a", "--dataset", f"folder:{known}", "--profile", "nano", "--dry-run"))
    assert answer.code == 2 and "already has this name" in answer.error


def test_images_shared_by_two_seeds_are_reported(call: Call, known: Path) -> None:
    made("a", 0), made("b", 1)
    shutil.copy("a/cat/0.png", "b/cat/0.png")
    answer = evaluate(call, known, "ours=a,b")
    assert answer.code == 0
    assert [note for note in answer.notes if "1 of 3 images of b are also in a" in note]
