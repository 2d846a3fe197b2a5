"""What is asked for on the command line, by a config file and from Python has the same keys and bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import uvlp
from uvlp.api.inputs import folders
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST
from uvlp.exchange.scoring import scored
from uvlp.pipeline.requests import carry_out
from uvlp.recipes.requests.request import Request

REPOSITORY = Path(__file__).resolve().parents[2]
RANDOM = np.random.default_rng(0)
WIDE = RANDOM.normal(0, 1, (20, 3, 16, 16)).astype(np.float32)
BYTES = RANDOM.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(20) % 10
LOGITS = RANDOM.normal(0, 3, (20, 10)).astype(np.float16)


def planned(request: Request) -> list[str]:
    """The artifacts that a request would make but for the table, which names the files, and their config."""
    store = Store(Path(request.store or ""))
    recipe, collect = scored(request, store, fetch=False, offline=True)
    plan = carry_out.planned(request, carry_out.checked(request, recipe), store, "tabulate", collect)
    config = {name: value for name, value in plan.config.items() if name != "images"}
    assert plan.tasks[-1].kind == "tables"
    return [task.name for task in plan.tasks[:-1]] + [json.dumps(config, sort_keys=True)]


CASES: list[tuple[Any, ...]] = [
    ("bytes", BYTES, LABELS, {}, {}),
    ("grey", BYTES[..., 0], LABELS, {}, {}),
    ("unit floats", BYTES / np.float32(255), LABELS, {}, {}),
    ("doubles", WIDE.astype(np.float64), LABELS, {"normalised": "none"}, {"normalised": "none"}),
    ("normalised", WIDE, LABELS, {"normalised": (0.5, 0.25)}, {"normalised": "0.5,0.25"}),
    ("logits", WIDE, LOGITS, *[{"normalised": "none", "label_kind": "logits", "temperature": 2.0}] * 2),
    ("layout", WIDE[:, :, :3].copy(), LABELS, *[{"normalised": "none", "layout": "nchw"}] * 2),
]


@pytest.mark.parametrize("form", ["npz", "pt"])
@pytest.mark.parametrize(
    ("images", "labels", "stated", "options"), [pytest.param(*rest, id=name) for name, *rest in CASES]
)
def test_arrays_have_the_keys_of_their_file(
    tmp_path: Path, form: str, images: Any, labels: Any, stated: Any, options: Any
) -> None:
    path = tmp_path / f"set.{form}"
    if form == "npz":
        np.savez(path, x=images, y=labels)
    else:
        images, labels = torch.from_numpy(images), torch.from_numpy(labels)
        torch.save([images, labels], path)
    common: dict[str, Any] = {"dataset": "digits", "store": str(tmp_path / "store"), "repeats": 1}
    by_file = planned(Request(images=(f"mine={path}",), **options, **common))
    request = Request(**stated, **common)
    kept = folders(images, labels, "mine", request)
    assert planned(Request(images=kept, **stated, **common)) == by_file


def content(store: Path) -> dict[str, bytes]:
    """Every file of the artifacts of a store; of manifests what does not depend on when and where."""
    kinds = ("captions", "distilled", "features", "pixels", "prototypes", "scores", "tables", "weights")
    found = {}
    for path in sorted(file for kind in kinds for file in (store / kind).rglob("*") if file.is_file()):
        held = path.read_bytes()
        if path.name == MANIFEST:
            values = json.loads(held)
            values.pop("made")
            held = json.dumps(values, sort_keys=True).encode()
        found[path.relative_to(store).as_posix()] = held
    return found


def command(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    line = [sys.executable, "-m", "uvlp", *words]
    ran = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.long
def test_three_ways_in_make_the_same_bytes(tmp_path: Path) -> None:
    words = ["reproduce", "digits", "2", "--method", "random,d4m", "--profile", "nano", "--repeats", "1"]
    command(tmp_path, *words, "--workers", "1", "--store", "by-option")
    config = command(tmp_path, *words, "--print-config", "--format", "toml")
    (tmp_path / "run.toml").write_text(config, encoding="utf-8")
    command(tmp_path, "reproduce", "--config", "run.toml", "--workers", "1", "--store", "by-config")
    uvlp.reproduce(
        "digits",
        2,
        method=["random", "d4m"],
        profile="nano",
        repeats=1,
        workers=1,
        store=tmp_path / "by-python",
    )
    first, *others = (content(tmp_path / f"by-{way}") for way in ("option", "config", "python"))
    assert {name.split("/")[0] for name in first} >= {
        "distilled",
        "prototypes",
        "scores",
        "tables",
        "weights",
    }
    for other in others:
        assert other.keys() == first.keys()
        assert [name for name in first if other[name] != first[name]] == []


@pytest.mark.slow
def test_floats_of_a_file_and_of_python_make_the_same_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", data=WIDE, targets=LABELS)
    words = ["--dataset", "digits", "--profile", "nano", "--repeats", "1", "--no-random", "--workers", "1"]
    command(tmp_path, "evaluate", "mine=set.npz", *words, "--normalised", "0.5,0.25", "--store", "file")
    options: dict[str, Any] = {"profile": "nano", "repeats": 1, "workers": 1, "store": tmp_path / "python"}
    result = uvlp.evaluate(
        WIDE, LABELS, dataset="digits", name="mine", normalised=(0.5, 0.25), random=False, **options
    )
    first, second = (
        {name: held for name, held in content(tmp_path / way).items() if not name.startswith("tables/")}
        for way in ("file", "python")
    )
    assert first == second and any(name.endswith("tensors.safetensors") for name in first)
    again = uvlp.reproduce(artifact=result.artifact, store=tmp_path / "python")
    assert again.table == result.table
