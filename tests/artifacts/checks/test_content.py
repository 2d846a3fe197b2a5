"""Artifacts whose content contradicts itself, or lacks a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.stored_tables import score
from uvlp.artifacts import scores
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task


@pytest.mark.parametrize(
    ("best", "last", "good"),
    [(100.0, 100.0, True), (100.0, 5.0, False), (101.0, 100.0, False), (99.99, 100.0, False)],
)
def test_impossible_top5_accuracy_is_detected(best: float, last: float, good: bool) -> None:
    changed = replace(score(0), top5_best_pct=best, top5_last_pct=last)
    assert (scores.contradiction(changed) == "") == good


OF_THE_CURVE: dict[str, dict[str, Any]] = {
    "another epoch": {"best_epoch": 2},
    "no curve": {"curve": ()},
    "a higher pass": {"curve": ((1, 90.0), (2, 100.0), (3, 80.0))},
    "another last pass": {"curve": ((1, 90.0), (2, 70.0))},
    "a NaN as best pass": {"curve": ((1, float("nan")), (2, 80.0))},
    "an earlier pass of the same accuracy": {"curve": ((1, 90.0), (2, 90.0), (3, 80.0)), "best_epoch": 2},
    "top-5 of one pass": {"top5_last_pct": None},
}
ONE_PASS: dict[str, dict[str, Any]] = {
    "top-5 best": {"top5_best_pct": 100.0},
    "top-5 last": {"top5_last_pct": 100.0},
    "bits": {"correct_best": "7fc0"},
}


def of_ten_images() -> scores.Score:
    """Return a score with 9 of 10 at the first pass and 8 at the last; top-5 one more each."""
    return replace(
        score(0),
        best_pct=90.0,
        last_pct=80.0,
        top5_best_pct=100.0,
        top5_last_pct=90.0,
        curve=((1, 90.0), (2, 80.0)),
        correct_best="ff80",
        correct_last="ff00",
        validation_images=10,
    )


@pytest.mark.parametrize("forged", OF_THE_CURVE.values(), ids=OF_THE_CURVE)
def test_score_that_contradicts_its_curve_is_detected(forged: dict[str, Any]) -> None:
    assert scores.contradiction(of_ten_images()) == ""
    assert scores.contradiction(replace(of_ten_images(), **forged))


@pytest.mark.parametrize("forged", ONE_PASS.values(), ids=ONE_PASS)
def test_best_pass_that_is_the_last_must_have_one_result(forged: dict[str, Any]) -> None:
    last: dict[str, Any] = {
        "last_pct": 90.0,
        "correct_last": "ff80",
        "curve": ((1, 80.0), (2, 90.0)),
        "best_epoch": 2,
    }
    made = replace(of_ten_images(), **last, top5_best_pct=90.0)
    assert scores.contradiction(made) == ""
    assert scores.contradiction(replace(made, **forged)) == "best and last are the same pass but differ"


def damage_of(tmp_path: Path, kind: str, fill: Callable[[Path], object]) -> str | None:
    task, store = Task(kind=kind, stage="x"), Store(tmp_path)
    store.prepare()
    with store.making(task, print) as folder:
        assert folder is not None
        fill(folder)
        store.commit(task, folder, {})
    return store.damage(task)


def relabelled(folder: Path, dtype: str) -> None:
    """Write a float32 tensor whose header has another dtype of the same size."""
    save_file({"weight": torch.ones(4), "position_ids": torch.arange(4)}, folder / "model.safetensors")
    content = (folder / "model.safetensors").read_bytes().replace(b'"F32"', f'"{dtype}"'.encode())
    (folder / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize(("dtype", "good"), [("F32", True), ("I32", False), ("U32", False)])
def test_integer_weights_are_detected(tmp_path: Path, dtype: str, good: bool) -> None:
    wrong = damage_of(tmp_path, "weights", lambda folder: relabelled(folder, dtype))
    assert (wrong is None) == good
    assert good or (wrong and dtype in wrong and "weight" in wrong)


@pytest.mark.parametrize(("dtype", "good"), [(np.float32, True), (np.float16, True), (np.int32, False)])
def test_integer_latents_are_detected(tmp_path: Path, dtype: type, good: bool) -> None:
    wrong = damage_of(tmp_path, "features", lambda folder: np.save(folder / "mean.npy", np.ones(3, dtype)))
    assert wrong is None if good else wrong and "mean.npy (dtype <i4" in wrong


@pytest.mark.parametrize("kind", ["captions", "features", "prototypes", "distilled", "pixels", "teachers"])
def test_missing_required_file_is_detected(tmp_path: Path, kind: str) -> None:
    wrong = damage_of(tmp_path, kind, lambda folder: (folder / "other.txt").write_text("x"))
    assert wrong and "it does not list" in wrong
