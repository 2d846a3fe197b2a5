"""`uvlp robust`: the runs that it makes, and bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from uvlp.cli.commands.robust import HARD, PLAIN, SOFT, _requests
from uvlp.core.errors import UvlpError
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request


def test_soft_labels_are_trained_for_methods_that_are_published_with_them() -> None:
    hard_only = _requests(Request(dataset="digits", ipc=10, methods=["dm"]))
    assert list(hard_only) == [HARD, PLAIN]
    both = _requests(Request(dataset="digits", ipc=10, methods=["dm,rded,full"]))
    assert both[HARD].methods == ("random", "dm", "rded", "full")
    assert both[PLAIN].methods == ("random", "dm", "rded")
    assert both[SOFT].methods == ("random", "rded") and both[SOFT].protocol == "rded"


def test_the_plain_run_differs_in_the_augmentation_alone() -> None:
    made = _requests(Request(dataset="imagenette", ipc=10, methods=["dm"]))
    hard, plain = resolve(made[HARD]).evaluate, resolve(made[PLAIN]).evaluate
    changed = {name for name in hard.__dataclass_fields__ if getattr(hard, name) != getattr(plain, name)}
    assert changed == {"crop_scale", "flip", "jitter", "lighting", "mix_probability"}
    assert plain.crop_scale == 1 and plain.mix_probability == 0


def test_no_method_to_score_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        _requests(Request(dataset="digits", ipc=10, methods=["random,full"]))
    assert caught.value.got == "random, full"


@pytest.mark.slow
def test_scores_are_printed_after_the_runs_that_they_need(tmp_path: Path) -> None:
    call = [
        sys.executable,
        "-m",
        "uvlp",
        "robust",
        "digits",
        "1",
        "--method",
        "k-center",
        "--profile",
        "nano",
    ]
    call += ["--store", str(tmp_path / "store"), "--json"]
    ran = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (row,) = json.loads(ran.stdout)
    assert row["title"] == "K-Center" and row["labels"] == "hard" and row["trainings"] == 2
    assert 0 < row["label_score"][0] < 100 and 0 < row["augmentation_score"][0] < 100
