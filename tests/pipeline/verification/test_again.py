"""Forgeries that agree with themselves: nothing but training again finds them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from tests.pipeline.verification.editing import forge, images, mend, of, of_made, raised, score
from uvlp.artifacts import scores
from uvlp.artifacts.scores import Score
from uvlp.pipeline.verification.verify import failure, verify

RUN = ("reproduce", "digits", "2", "--profile", "nano", "--method", "full,random", "--seed", "0,1")
ALL = "8"


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uvlp", *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def checks_of(ended: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(ended.stdout)["checks"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "store"
    ended = call(*RUN, "--repeats", "2", "--store", str(root))
    assert ended.returncode == 0, ended.stderr
    return root


def whole(root: Path, seed: int, repeat: int) -> Path:
    """A score of the whole set."""
    return next(
        path
        for path in sorted((root / "scores").iterdir())
        if "ipc" not in (facts := json.loads((path / "manifest.json").read_text(encoding="utf-8"))["facts"])
        and (facts["seed"], facts["repeat"]) == (seed, repeat)
    )


def shifted(score: Score) -> Score:
    """As many right answers, one of them to another image."""
    forged = {}
    for which in ("correct_best", "correct_last"):
        packed = numpy.frombuffer(bytes.fromhex(getattr(score, which)), dtype=numpy.uint8)
        right = numpy.unpackbits(packed)
        first, wrong = (numpy.flatnonzero(right[: score.validation_images] == each)[0] for each in (1, 0))
        right[first], right[wrong] = 0, 1
        forged[which] = numpy.packbits(right).tobytes().hex()
    return Score(**{name: getattr(score, name) for name in Score.__dataclass_fields__} | forged)


def one_better(root: Path) -> list[Path]:
    forge(root, {score(root): raised(scores.read(score(root)), 50)})
    return [score(root)]


def same_accuracy(root: Path) -> list[Path]:
    forge(root, {whole(root, 0, 1): shifted(scores.read(whole(root, 0, 1)))})
    return [whole(root, 0, 1)]


def swapped_repeats(root: Path) -> list[Path]:
    one, other = whole(root, 0, 1), whole(root, 1, 2)
    forge(root, {one: scores.read(other), other: scores.read(one)})
    return [one, other]


def better_images(root: Path) -> list[Path]:
    """Another image of a class than the one that was trained on."""
    folder = images(root) / "train" / "3"
    Image.open(folder / "00000.png").rotate(90).save(folder / "00001.png")
    mend(images(root))
    return [score(root, 0, 1), score(root, 0, 2)]


def better_cell(root: Path) -> list[Path]:
    """All trainings of a cell, made elsewhere by what they say, so that bits may differ."""
    found = [score(root, seed, repeat) for seed in (0, 1) for repeat in (1, 2)]
    forge(root, {each: raised(scores.read(each), 300 + row) for row, each in enumerate(found)})
    for each in found:
        of_made(each, host="elsewhere")
    return found


FORGERIES: tuple[Callable[[Path], list[Path]], ...] = (
    one_better,
    same_accuracy,
    swapped_repeats,
    better_images,
    better_cell,
)


@pytest.mark.slow
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_consistent_forgery_is_found_by_training_again(
    trained: Path, tmp_path: Path, forgery: Callable[[Path], list[Path]]
) -> None:
    root = Path(shutil.copytree(trained, tmp_path / "store"))
    forged = {f"scores/{each.name}/score.json" for each in forgery(root)}
    assert failure(verify(root, None, None, None)) is None
    ended = call("verify", "--store", str(root), "--rerun", ALL, "--json")
    found = {one["file"] for one in checks_of(ended)["rerun"]["findings"]}
    assert ended.returncode == 2 and found and found <= forged, ended.stderr


@pytest.mark.slow
def test_a_calm_store_is_trained_again_bit_for_bit(trained: Path) -> None:
    ended = call("verify", "--store", str(trained), "--rerun", "2", "--seed", "1", "--json")
    again = checks_of(ended)["rerun"]
    assert ended.returncode == 0 and again["state"] == "ok" and again["checked"] == 2
    assert all("the same bits" in line for line in again["remarks"]) and len(again["remarks"]) == 2
    same = call("verify", "--store", str(trained), "--rerun", "2", "--seed", "1", "--json")
    assert checks_of(same)["rerun"] == again


@pytest.mark.slow
def test_what_has_no_images_here_is_counted(trained: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(trained, tmp_path / "store"))
    shutil.rmtree(of(root, "distilled", seed=0))
    ended = call("verify", "--store", str(root), "--rerun", ALL, "--json")
    again = checks_of(ended)["rerun"]
    assert ended.returncode == 0 and again["checked"] == 6
    assert again["not_checked"] == {"trainings whose distilled artifact is missing or damaged": 2}


@pytest.mark.long
def test_portable_digits_are_trained_again_with_the_same_instructions(tmp_path: Path) -> None:
    root = tmp_path / "store"
    made = call(*RUN, "--repeats", "1", "--portable", "--store", str(root))
    assert made.returncode == 0, made.stderr
    calm = call("verify", "--store", str(root), "--rerun", "1", "--json")
    assert calm.returncode == 0 and checks_of(calm)["rerun"]["checked"] == 1
    forge(root, {whole(root, 0, 1): shifted(scores.read(whole(root, 0, 1)))})
    of_made(whole(root, 0, 1), host="elsewhere")
    ended = call("verify", "--store", str(root), "--rerun", ALL, "--json")
    named = [one["file"] for one in checks_of(ended)["rerun"]["findings"]]
    assert ended.returncode == 2 and named == [f"scores/{whole(root, 0, 1).name}/score.json"]
