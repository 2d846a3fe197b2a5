"""Options about cards, and what the command line says about the cards of a machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from tests.pretend_cards import Driver, busy, cards
from uvlp.core import nvidia
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
    assert code == 0 and len(notes) == 2
    assert notes[0].startswith("note   3 GPUs: 1, 2, 3 (NVIDIA H200)") and "GPU 0: process" in notes[1]
    assert json.loads(out)["estimate"]["workers"] >= 1
