"""Keys of networks of timm hold its version; those of other networks hold nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.networks.parts import timm_networks
from uvlp.pipeline import names
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request


def planned(root: Path, network: str, protocol: str = "minimax") -> tuple[Task, ...]:
    settings = {"rded.lr": "0.001"} if protocol == "rded" else {}
    request = Request(
        dataset="digits",
        ipc=2,
        methods=["random"],
        networks=network,
        protocol=protocol,
        profile="tiny",
        settings=settings,
    )
    return tuple(prepare(names.check(resolve(request)), Store(root), "tabulate").tasks)


@pytest.mark.parametrize("protocol", ["minimax", "rded"])
def test_the_version_is_in_the_keys_of_scores_and_teachers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    before = planned(tmp_path, "timm:test_resnet", protocol)
    monkeypatch.setattr(timm_networks, "package", lambda: "timm 0.1")
    after = planned(tmp_path, "timm:test_resnet", protocol)
    changed = {task.stage for task, other in zip(before, after, strict=True) if task.key != other.key}
    assert changed == {"evaluate", "tabulate"} | ({"teacher"} if protocol == "rded" else set())
    scores = [task for task in before if task.stage == "evaluate"]
    assert all(dict(task.packages)["network"].startswith("timm 1.") for task in scores)


def test_the_table_states_size_and_cost(tmp_path: Path) -> None:
    (table,) = (task for task in planned(tmp_path, "timm:test_resnet") if task.stage == "tabulate")
    assert any(note.startswith("timm:test_resnet (timm 1.") for note in table.facts["notes"])
    other = planned(tmp_path, "convnet-3")
    assert all(not task.packages for task in other)
    assert not any("timm" in note for task in other for note in task.facts.get("notes", ()))
