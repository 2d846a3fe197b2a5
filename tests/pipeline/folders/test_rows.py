"""`uvlp evaluate NAME=FOLDER,FOLDER`: how rows are written, and which folders cannot be their seeds."""

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
    """A folder in the current one with images that depend on the seed."""
    for label, cls in enumerate(classes):
        for index in range(count):
            draw(Path(name) / cls / f"{index}.png", 1000 * seed + 10 * label + index)
    return name


def evaluate(call: Call, known: Path, *words: str) -> Answer:
    return call(
        *("evaluate", *words, "--dataset", f"folder:{known}", "--profile", "nano", "--no-random"),
        *("--dry-run", "--json"),
    )


def images(answer: Answer) -> list[str]:
    """Titles of the images that would be collected."""
    assert answer.code == 0, answer.error
    titles = [row["title"] for row in json.loads(answer.out)["artifacts"]]
    return [title.removeprefix("images of ") for title in titles if title.startswith("images of ")]


@pytest.mark.parametrize(
    ("folders", "words", "expected"),
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
def test_a_row_is_written(
    folders: tuple[str, ...], words: tuple[str, ...], expected: list[str], call: Call, known: Path
) -> None:
    for seed, name in enumerate(folders):
        made(name, seed)
    assert images(evaluate(call, known, *words)) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ours=",), "a row without a folder"),
        (("ours=a,",), "a row without a folder"),
        (("=a",), "name of a row"),
        (("x" * 41 + "=a",), "name of a row"),
        (("ours=a,a",), "one folder is given for several seeds"),
        (("ours=a,./a/../a",), "one folder is given for several seeds"),
        (("ours=a,copy",), "two seeds have the same images"),
        (("ours=a,renamed",), "two seeds have the same images"),
        (("ours=a,more",), "different numbers of images per class: got '1 in a; 2 in more'"),
        (("ours=a,fewer",), "no folder for 1 of 3 classes"),
        (("ours=a,gone",), "not found: got '"),
        (("ours/v2=a,b",), "a name without a slash"),
        (("ours=*",), "a pattern of folders in a row"),
        (("a,b",), "write NAME=a,b"),
        (("ours=a,b", "--seed", "3"), "--seed: the row ours has 2 folders"),
        (("ours=a,b", "--seed", "0,1,2"), "--seed: the row ours has 2 folders"),
    ],
)
def test_what_cannot_be_seeds_is_refused(words: tuple[str, ...], said: str, call: Call, known: Path) -> None:
    made("a", 0), made("b", 1), made("more", 2, count=2), made("fewer", 3, classes=CLASSES[:2])
    shutil.copytree("a", "copy")
    for name in CLASSES:
        (Path("renamed") / name).mkdir(parents=True)
        shutil.copy(f"a/{name}/0.png", f"renamed/{name}/z.png")
    answer = evaluate(call, known, *words)
    assert answer.code == 2 and said in answer.error


def test_a_name_of_another_row_is_refused(call: Call, known: Path) -> None:
    made("a", 0)
    words = ("evaluate", "random=a", "--dataset", f"folder:{known}", "--profile", "nano", "--dry-run")
    answer = call(*words)
    assert answer.code == 2 and "called so already" in answer.error


def test_images_that_two_seeds_share_are_said(call: Call, known: Path) -> None:
    made("a", 0), made("b", 1)
    shutil.copy("a/cat/0.png", "b/cat/0.png")
    answer = evaluate(call, known, "ours=a,b")
    assert answer.code == 0
    assert [note for note in answer.notes if "1 of 3 images of b are in a too" in note]
