"""Options about cards, and what the command line says about the cards of a machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.caption_forms import Call
from tests.pretend_cards import Driver, busy, cards
from uvlp.artifacts.task import read_manifest
from uvlp.core import nvidia
from uvlp.core.display.views import view
from uvlp.core.machine import thread_environment
from uvlp.core.progress import Progress
from uvlp.core.scheduling import workers
from uvlp.core.scheduling.cards import Asked, parallel
from uvlp.core.scheduling.rule import Needs
from uvlp.pipeline.estimates.cards import this_machine

SOMEBODY = 2**30
RUN = ("reproduce", "digits", "1", "--profile", "nano", "--method", "random")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    this_machine.cache_clear()
    yield Driver(tmp_path, monkeypatch)
    this_machine.cache_clear()
    nvidia.visible_gpus.cache_clear()


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (0, ("--per-gpu", "2")),
        (0, ("--gpus-per-finetune", "1")),
        (2, ("--gpus-per-finetune", "3")),
        (2, ("--workers", "999")),
        (2, ("--per-gpu", "0")),
    ],
)
def test_more_than_there_is_is_refused_in_one_line(
    call: Call, driver: Driver, tmp_path: Path, count: int, options: tuple[str, str]
) -> None:
    driver.install(cards(count))
    code, out, err = call(*RUN, *options)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert options[0].removeprefix("--") in err and options[1] in err
    assert not (tmp_path / "store").exists()


def test_if_every_card_is_taken_nothing_starts(call: Call, driver: Driver, tmp_path: Path) -> None:
    driver.install([busy(card, SOMEBODY) for card in cards(2)])
    code, _, err = call(*RUN)
    assert code == 2 and err.count("\n") == 1 and str(SOMEBODY) in err
    assert not (tmp_path / "store").exists()


def test_dry_run_says_which_cards_would_be_used(call: Call, driver: Driver) -> None:
    first, *others = cards(4)
    driver.install([busy(first, SOMEBODY), *others])
    code, out, err = call(*RUN, "--dry-run", "--json")
    notes = [line for line in err.split("\n") if "GPU" in line]
    assert code == 0 and len(notes) == 3
    assert notes[0].startswith("note   3 GPUs: 1, 2, 3 (NVIDIA H200)") and "GPU 0: process" in notes[1]
    assert "3 GPUs together: " in notes[2] and "unknown" not in notes[2]
    assert json.loads(out)["estimate"]["workers"] >= 1


def _record_card(folder: Path, job: SimpleNamespace, progress: Progress, reserved: tuple[str, ...]) -> None:
    """Write the card that CUDA shows this process."""
    import torch

    torch.ones(1, device="cuda")
    seen = [str(torch.cuda.get_device_properties(each).uuid) for each in range(torch.cuda.device_count())]
    (folder / job.key).write_text(json.dumps({"seen": seen, "reserved": reserved}), encoding="utf-8")


@pytest.mark.gpu
@pytest.mark.skipif(not nvidia.visible_gpus(), reason="needs an NVIDIA GPU")
def test_every_visible_card_is_seen_by_its_own_worker(tmp_path: Path) -> None:
    on = parallel(Asked(workers=len(nvidia.visible_gpus())))
    jobs = [SimpleNamespace(key=f"{each}", title=f"job {each}", inputs={}) for each in range(len(on.cards))]
    workers.run(
        jobs,
        partial(_record_card, tmp_path),
        parallel=on,
        environment=thread_environment(),
        view=view(len(jobs)),
        needs=lambda job: Needs(cards=1),
    )
    found = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()]
    assert {each["reserved"][0] for each in found} == {card.uuid for card in on.cards}
    for each in found:
        assert len(each["seen"]) == 1
        # torch's form has no prefix; that of a MIG device names its GPU.
        assert each["reserved"][0].startswith("MIG-") or each["seen"][0] in each["reserved"][0]


@pytest.mark.gpu
@pytest.mark.skipif(not nvidia.visible_gpus(), reason="needs an NVIDIA GPU")
def test_digits_on_all_visible_cards(tmp_path: Path) -> None:
    command = ["reproduce", "digits", "2", "--profile", "nano", "--method", "random,uvlp", "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "uvlp", *command, "--store", str(tmp_path / "store")],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    made = [read_manifest(path.parent)["made"] for path in (tmp_path / "store").glob("*/*/manifest.json")]
    assert {each["gpus"] for each in made} == {0, 1}
    names = {card.name for card in nvidia.visible_gpus()}
    assert {each["gpu"] for each in made if each["gpus"]} <= names
    count = len(nvidia.visible_gpus())
    if count > 1:
        assert f"{count} GPUs: " in ran.stderr and f"part {count} of {count}" in ran.stderr
