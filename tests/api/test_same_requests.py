"""A run that is asked for on the command line, by a config file and from Python is the same run."""

from __future__ import annotations

import random
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.caption_forms import Call
from uvlp.api.keywords import request_of
from uvlp.artifacts.task import chain
from uvlp.cli import run as command_line
from uvlp.cli.printing import config as printing
from uvlp.pipeline import names
from uvlp.pipeline.prepare import outline
from uvlp.pipeline.requests import config
from uvlp.pipeline.requests.content import content
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

OPTIONS = {
    "method": "--method",
    "seed": "--seed",
    "network": "--network",
    "missing_captions": "--missing-captions",
}
METHODS = ("random", "full", "uvlp", "uvlp:no-outliers", "vlcp", "d4m", "herding", "k-center", "dm", "idc-1")
SETTINGS: Mapping[str, tuple[Any, ...]] = {
    "evaluate.epochs": (3, 50),
    "evaluate.lr": (0.01, 0.003),
    "evaluate.norm": ("batch",),
    "evaluate.deterministic": (True, False),
    "embedder.layers": ([1, 1, 1, 1], [2, 1, 1, 2]),
    "uvlp.top_k": (1, 3),
    "uvlp.synthesis.steps": (5, 20),
    "method.rded.factor": (1, 2),
    "k-center.features": ("network",),
    "caption.shard": (64,),
    "models_seed": (4,),
    "note": ("a note, with a comma",),
}


def drawn(number: int) -> tuple[str, int, dict[str, Any]]:
    """A dataset, an IPC and keywords of `reproduce`."""
    rng = random.Random(number)
    dataset = rng.choice(["digits", "digits", "imagenette", "cifar10"])
    own: dict[str, Any] = {"method": rng.sample(METHODS, rng.randint(1, 3))}
    optional: dict[str, Any] = {
        "seed": rng.sample(range(9), rng.randint(1, 3)),
        "repeats": rng.randint(1, 5),
        "profile": rng.choice(["tiny", "small", "nano"]),
        "protocol": rng.choice(["minimax", "rded"]),
        "alpha": rng.choice([0.25, 0.5]),
        "missing_captions": "empty",
        "portable": True,
        "set": {name: rng.choice(SETTINGS[name]) for name in rng.sample(sorted(SETTINGS), rng.randint(1, 4))},
    }
    chosen = rng.sample(sorted(optional), rng.randint(0, 4))
    own |= {name: optional[name] for name in chosen}
    if "protocol" in own:
        own["network"] = "conv3" if own["protocol"] == "rded" else "convnet-3"
    return dataset, rng.choice([1, 2, 10, 20]), own


def words_of(dataset: str, ipc: int, own: Mapping[str, Any]) -> list[str]:
    """The same on the command line."""
    words = [dataset, str(ipc)]
    for name, value in own.items():
        option = f"--{name.replace('_', '-')}"
        if name == "set":
            for path, each in value.items():
                shown = ",".join(map(str, each)) if isinstance(each, list) else str(each)
                words += [option, f"{path}={shown.lower() if isinstance(each, bool) else shown}"]
        elif value is True:
            words.append(option)
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return words


def keys(request: Request) -> list[str]:
    """The keys of all tasks of a run without its dataset, and what else stands in its table."""
    plan = outline(names.check(resolve(request)))
    return [task.key for task in chain(plan.goal)]


@pytest.mark.parametrize(
    "count", [pytest.param(30, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.long)]
)
def test_the_three_ways_in_give_the_same_keys(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int
) -> None:
    asked: list[Request] = []
    monkeypatch.setattr(command_line, "run", lambda request, *_: asked.append(request))
    path, different = tmp_path / "run.toml", set()
    for number in range(count):
        dataset, ipc, own = drawn(number)
        shown = shlex.join(words_of(dataset, ipc, own))
        code, _, err = call("reproduce", *words_of(dataset, ipc, own))
        assert code == 0, f"{shown}: {err}"
        rest = {name: value for name, value in own.items() if name != "method"}
        python = request_of({"dataset": dataset, "ipc": ipc, "method": own["method"]}, rest, "tabulate")
        expected = keys(python)
        checked = names.check(resolve(python))
        text = printing.toml(content(python, checked, "tabulate"), checked, "tabulate")
        path.write_text(text, encoding="utf-8")
        assert keys(asked.pop()) == expected, shown
        assert keys(config.requested(str(path), config.read(path), {}, "tabulate")) == expected, text
        assert call("reproduce", "--config", str(path))[0] == 0 and keys(asked.pop()) == expected, shown
        different.add(tuple(expected))
    assert len(different) > count * 0.9, "the requests differ from each other"
