"""`uvlp evaluate`: folders of any source are scored, compared, stored and retrained."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.flipping import flip
from uvlp.cli import app

CLASSES = ("ant", "bee", "cow")
NAMINGS = {"by_id": CLASSES, "by_index": ("00000", "00001", "00002")}


def draw(folder: Path, label: int, count: int, seed: int) -> None:
    """Write images whose class is the position and colour of a bar."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng([seed, label])
    for index in range(count):
        pixels = generator.integers(0, 80, (32, 32, 3), dtype=np.uint8)
        pixels[8 * label : 8 * label + 12, :, label] += 150
        Image.fromarray(pixels).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with train/ and val/, and two folders of two images per class with different naming."""
    root = tmp_path_factory.mktemp("images")
    for split, count, seed in (("train", 6, 0), ("val", 5, 1)):
        for label, name in enumerate(CLASSES):
            draw(root / "data" / split / name, label, count, seed)
    for seed, (naming, names) in enumerate(NAMINGS.items(), start=2):
        for label, name in enumerate(names):
            draw(root / naming / name, label, 2, seed)
    return root


def run(root: Path, *arguments: str, store: str = "store") -> subprocess.CompletedProcess[str]:
    """Run `uvlp evaluate` in a separate process with profile nano."""
    options = ["--dataset", f"folder:{root}/data", "--profile", "nano", "--store", str(root / store)]
    command = [sys.executable, "-m", "uvlp", "evaluate", *arguments, *options, "--workers", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def folders(root: Path) -> list[str]:
    return [str(root / naming) for naming in NAMINGS]


@pytest.fixture(scope="module")
def result(root: Path) -> dict[str, Any]:
    finished = run(root, *folders(root), "--json")
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def test_folders_and_random_images_of_their_size_are_scored(result: dict[str, Any], root: Path) -> None:
    assert result["ipc"] == 2
    assert [cell["title"] for cell in result["table"]["cells"]] == [*NAMINGS, "Random"]
    assert all(len(cell["best_pct"]) == 2 for cell in result["table"]["cells"])
    assert re.fullmatch(r"by_id-by_index-on-folder-data-[0-9a-f]{8}-ipc2-nano", result["table"]["name"])
    assert {cell["validation_set"] for cell in result["table"]["cells"]} == {"folder, 3 classes"}
    assert {cell["validation_images"] for cell in result["table"]["cells"]} == {15}


def test_labels_do_not_depend_on_folder_naming(result: dict[str, Any], root: Path) -> None:
    for naming in NAMINGS:
        folder = root / "store" / result["artifacts"][f"images of {naming}"] / "train"
        rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
        assert [(row["label"], row["class_id"]) for row in rows] == [
            (label, name) for label, name in enumerate(CLASSES) for _ in range(2)
        ]


def test_any_two_methods_of_a_table_can_be_compared(result: dict[str, Any], root: Path) -> None:
    by_id, _ = folders(root)
    arguments = [
        "table",
        result["table"]["name"],
        "--against",
        by_id,
        "--full",
        "--store",
        str(root / "store"),
    ]
    shown = subprocess.run(
        [sys.executable, "-m", "uvlp", *arguments], capture_output=True, text=True, check=True
    )
    assert "Difference from by_id in points" in shown.stdout
    assert [line.split()[1] for line in shown.stdout.splitlines() if " cannot tell " in line] == [
        "by_index",
        "Random",
    ]
    arguments[3] = "vlcp"
    wrong = subprocess.run(
        [sys.executable, "-m", "uvlp", *arguments], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2 and "unknown method of this table" in wrong.stderr


def test_ascii_terminal_gets_the_table(result: dict[str, Any], root: Path) -> None:
    arguments = ["table", result["table"]["name"], "--store", str(root / "store")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.run([sys.executable, "-m", "uvlp", *arguments], capture_output=True, env=environment)
    assert shown.returncode == 0 and b" ? " in shown.stdout, shown.stderr


def test_table_method_can_be_named_by_its_title(
    result: dict[str, Any], root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = root / "store"

    def against(method: str) -> tuple[int, str, str]:
        arguments = ["uvlp", "table", result["table"]["name"], "--against", method, "--full"]
        arguments += ["--store", str(store)]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            app.main()
        return int(end.value.code or 0), *capsys.readouterr()

    assert "Difference from by_index in points" in against("by_index")[1]
    score = store / result["table"]["cells"][0]["scores"][0] / "score.json"
    away = score.rename(root / "score.json")
    try:
        code, _, output = against("by_index")
    finally:
        away.rename(score)
    assert code == 2 and "score.json is missing" in output


@pytest.mark.slow
def test_same_images_have_the_same_score_as_a_folder(result: dict[str, Any], root: Path) -> None:
    ours = next(cell for cell in result["table"]["cells"] if cell["method"] == "random")
    folder = root / "store" / result["artifacts"]["random images, seed 0"]
    again = json.loads(run(root, str(folder), "--no-random", "--repeats", "1", "--json").stdout)
    (theirs,) = again["table"]["cells"]
    assert again["made"] == 3 and theirs["scores"][0] != ours["scores"][0]
    kept = [(root / "store" / cell["scores"][0] / "score.json").read_bytes() for cell in (ours, theirs)]
    assert kept[0] == kept[1]  # including the bits of correctly classified images


@pytest.mark.slow
def test_additional_repeat_reuses_the_others(result: dict[str, Any], root: Path) -> None:
    more = json.loads(run(root, *folders(root), "--repeats", "3", "--json").stdout)
    assert more["made"] == 3 + 1  # one training of each, and the table
    for old, new in zip(result["table"]["cells"], more["table"]["cells"], strict=True):
        assert new["best_pct"][:2] == old["best_pct"] and len(new["best_pct"]) == 3


@pytest.mark.slow
def test_single_repeat_can_be_rerun(result: dict[str, Any], root: Path) -> None:
    again = run(root, *folders(root), "--rerun", "2")
    assert again.returncode == 0 and "3 trainings reproduced the stored scores" in again.stdout, again.stderr
    cell = result["table"]["cells"][0]
    changed = root / "store" / cell["scores"][1] / "score.json"
    text = changed.read_text()
    try:
        changed.write_text(text.replace('"last_pct": ', '"last_pct": 1'))
        other = run(root, *folders(root), "--rerun", str(cell["repeats"][1]))
    finally:
        changed.write_text(text)
    assert other.returncode == 2, other.stdout
    assert f"damaged artifact {cell['scores'][1]}" in other.stderr and "score.json" in other.stderr


def swapped(bits: str) -> str:
    """Swap one correct and one wrong image in hexadecimal digits: the accuracy stays."""
    text = f"{int(bits, 16):0{4 * len(bits)}b}"
    right, wrong = text.index("1"), text.index("0")
    digits = [{right: "0", wrong: "1"}.get(index, digit) for index, digit in enumerate(text)]
    return f"{int(''.join(digits), 2):0{len(bits)}x}"


def test_rerun_detects_a_score_forged_with_its_hash(result: dict[str, Any], root: Path) -> None:
    shutil.copytree(root / "store", root / "forged")
    shutil.rmtree(root / "forged" / "tables")  # they contain the hash of the original score
    folder = root / "forged" / result["table"]["cells"][0]["scores"][0]
    score = json.loads((folder / "score.json").read_bytes())
    score |= {name: swapped(score[name]) for name in ("correct_best", "correct_last")}
    (folder / "score.json").write_text(json.dumps(score))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["score.json"] = hashlib.sha256((folder / "score.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    other = run(root, *folders(root), "--rerun", "1", store="forged")
    assert other.returncode == 2 and "not the same score" in other.stderr, other.stderr


def test_rerun_refuses_damaged_images(result: dict[str, Any], root: Path) -> None:
    image = min((root / "store" / result["artifacts"]["images of by_id"] / "train").rglob("*.png"))
    content = image.read_bytes()
    try:
        flip(image)
        other = run(root, *folders(root), "--rerun", "1")
    finally:
        image.write_bytes(content)
    assert other.returncode == 2 and not other.stdout
    assert "damaged artifact" in other.stderr and image.name in other.stderr, other.stderr


def test_rerun_refuses_a_repeat_that_is_not_stored(result: dict[str, Any], root: Path) -> None:
    again = run(root, *folders(root), "--repeats", "9", "--rerun", "9")
    assert again.returncode == 2
    assert "--rerun" in again.stderr and "got 9; allowed: 1 to" in again.stderr


def test_random_images_can_be_disabled(result: dict[str, Any], root: Path) -> None:
    answer = json.loads(run(root, folders(root)[0], "--no-random", "--json").stdout)
    assert [cell["title"] for cell in answer["table"]["cells"]] == ["by_id"]
    assert answer["made"] == 1  # the table


@pytest.mark.slow
def test_soft_labels_come_from_the_teacher_trained_before(root: Path) -> None:
    data, store = f"folder:{root}/data", str(root / "soft")
    arguments = [sys.executable, "-m", "uvlp", "teacher", data, "convnet-3", "--profile", "nano"]
    made = subprocess.run(
        [*arguments, "--store", store, "--json"], capture_output=True, text=True, check=True
    )
    teacher = json.loads(made.stdout)["teacher"]
    assert teacher["architecture"] == "conv3" and teacher["accuracy_pct"] > 60
    assert teacher["class_ids"] == list(CLASSES)
    scored = run(root, folders(root)[0], "--protocol", "rded", "--json", store="soft")
    answer = json.loads(scored.stdout)
    assert [cell["network"] for cell in answer["table"]["cells"]] == ["conv3", "conv3"]
    assert answer["made"] == 2 + 4 + 1, scored.stderr  # images, trainings and the table; not the teacher
    checkpoint = next((root / "soft" / "teachers").glob("*/model.safetensors"))
    taken = [*arguments, "--store", store, "--json", "--checkpoint", str(checkpoint)]
    imported = json.loads(subprocess.run(taken, capture_output=True, text=True, check=True).stdout)["teacher"]
    assert imported["accuracy_pct"] == teacher["accuracy_pct"] and "sha256" in imported["source"]


def plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[Any, str]:
    """Return the planned artifacts and the messages of `uvlp evaluate ... --dry-run`."""
    monkeypatch.setattr(
        sys, "argv", ["uvlp", "evaluate", *arguments, "--profile", "nano", "--dry-run", "--json"]
    )
    with pytest.raises(SystemExit) as end:
        app.main()
    output = capsys.readouterr()
    assert end.value.code == 0, output.err
    return json.loads(output.out)["artifacts"], output.err


def titles(tasks: list[dict[str, Any]], artifact: str) -> list[str]:
    return [task["title"] for task in tasks if task["artifact"].startswith(artifact)]


def test_folders_of_the_same_name_stay_distinct(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a/out", 5), ("b/out", 6), ("random", 7)):
        for label, identity in enumerate(CLASSES):
            draw(tmp_path / name / identity, label, 2, seed)
    monkeypatch.chdir(tmp_path)
    given = ["a/out", "b/out", "a/out/", "./a/out", str(tmp_path / "a/out"), "random"]
    data = ["--dataset", f"folder:{root}/data", "--store", "store"]
    tasks, _ = plan(monkeypatch, capsys, *given, *data)
    assert titles(tasks, "distilled") == [
        "images of a/out",
        "images of b/out",
        f"images of {tmp_path.name}/random",
        "random images, seed 0",
    ]
    assert len(titles(tasks, "scores")) == 4 * 2
    (title,) = titles(tasks, "tables")
    assert title.startswith(f"table a/out-b/out-{tmp_path.name}/random-on-folder-data-")


def test_drawn_images_are_reported_for_every_seed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--dataset", f"folder:{root}/data", "--store", str(tmp_path)]
    arguments = [f"{root}/data/train", "--ipc", "2", "--seed", "0,1", *data]
    output = plan(monkeypatch, capsys, *arguments, "--select", "drawn")[1]
    assert output.count("drawn from seed 0") == output.count("drawn from seed 1") == 1
    assert plan(monkeypatch, capsys, *arguments)[1].count("first in string order") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("{root}/by_id", "{root}/data/train"),
            ("different numbers", "2 in by_id; 6 in data/train", "at most 2"),
        ),
        (("{root}/data/train", "{root}/by_id"), ("different numbers", "2 in by_id; 6 in data/train")),
        (("",), ("path of an image folder", "got ''")),
        (("{root}/nowhere",), ("not found", "nowhere")),
        (
            ("{root}/by_id", "--ipc", "3"),
            ("by_id: too few images in 3 of 3 classes", "2 of class ant", "3 or more"),
        ),
        (("{root}/by_id", "--ipc", "0"), ("--ipc must be an integer", "'0'")),
        (("{root}/by_id", "--select", "best"), ("'best'", "first", "drawn")),
        (("{root}/data/train", "--ipc", "7"), ("6 of class ant",)),
        (("{root}/data/val",), ("the dataset's test images", "data/val")),
        (("{root}/by_id", "--network", "convnet-7"), ("too deep for images of 32 px", "convnet-5")),
        (("{root}/by_id", "--network", "convnet-9999"), ("too deep for images of 32 px", "convnet-5")),
        (("{root}/by_id", "--network", "convnet-99999999999"), ("without a depth", "four digits")),
        (("{root}/by_id", "--network", "convnot-3"), ("unknown network", "convnet")),
        (("{root}/by_id", "--set", "evaluate.precision=half"), ("evaluate.precision", "bfloat16")),
        (("{root}/by_id", "--protocol", "rded", "--network", "conv6", "--set", "rded.size_px=32"), ("64",)),
        (("{root}/by_id", "--protocol", "rded", "--set", "teacher.network=conv6"), ("conv6", "64")),
        (("{root}/by_id", "--protocol", "rded", "--network", "resnet-19"), ("resnet18",)),
        (("{root}/by_id", "--protocol", "rded", "--set", "teacher.source=t.pth"), ("t.pth", "safetensors")),
        (("{root}/by_id", "--protocol", "dsa"), ("unknown protocol", "'dsa'", "minimax, rded")),
    ],
)
def test_wrong_request_prints_one_line(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    options = ["--dataset", f"folder:{root}/data", "--store", str(tmp_path)]
    given = [argument.format(root=root) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["uvlp", "evaluate", *given, *options])
    with pytest.raises(SystemExit) as end:
        app.main()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("uvlp:")]
    assert end.value.code == 2
    for text in expected:
        assert text in line, line


@pytest.fixture(scope="module")
def seeds(result: dict[str, Any], root: Path) -> dict[str, Any]:
    """Both folders as two seeds of one row; reuses the trainings of `result`."""
    finished = run(root, "ours=" + ",".join(folders(root)), "--json")
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


@pytest.mark.slow
def test_folders_can_be_seeds_of_one_row(seeds: dict[str, Any], result: dict[str, Any], root: Path) -> None:
    ours, random = seeds["table"]["cells"]
    assert (ours["title"], random["title"]) == ("ours", "Random")
    assert ours["seeds"] == random["seeds"] == [0, 0, 1, 1]
    assert ours["best"]["basis"] == ours["last"]["basis"] == "seeds"
    assert {one["pairs"] for one in seeds["table"]["comparisons"]} == {4}
    assert re.fullmatch(r"ours-on-folder-data-[0-9a-f]{8}-ipc2-nano", seeds["table"]["name"])
    by_id, by_index = folders(root)
    assert f"ours: seed 0 is {by_id}, seed 1 is {by_index}" in seeds["table"]["notes"]
    assert ours["scores"][:2] == result["table"]["cells"][0]["scores"]
    assert seeds["made"] == 2 + 1 + 3  # scores and images of seed 1, those of Random, and the table


@pytest.mark.slow
def test_every_table_format_has_the_row(seeds: dict[str, Any], root: Path) -> None:
    for form in ("markdown", "latex", "csv"):
        arguments = ["table", seeds["table"]["name"], "--format", form, "--store", str(root / "store")]
        shown = subprocess.run(
            [sys.executable, "-m", "uvlp", *arguments], capture_output=True, text=True, check=True
        )
        assert "ours" in shown.stdout, form


@pytest.mark.slow
def test_row_of_seeds_can_be_rerun(seeds: dict[str, Any], root: Path) -> None:
    finished = run(root, "ours=" + ",".join(folders(root)), "--rerun", "1", "--json")
    assert finished.returncode == 0, finished.stderr
    assert len(json.loads(finished.stdout)["same"]) == 4
