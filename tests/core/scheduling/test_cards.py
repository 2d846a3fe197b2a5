"""Which cards a run may use, how its workers are spread over them, and what is refused."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.pretend_cards import L4, Driver, busy, cards
from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.nvidia import Card
from uvlp.core.scheduling.cards import Asked, Parallel, lost, parallel

SOMEBODY = 2**30
"""A number that no process of this machine has."""


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 16)


def used(found: Parallel) -> list[int]:
    return [card.index for card in found.cards]


def refused(**asked: int) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        parallel(Asked(**asked))
    return caught.value


def test_eight_cards_are_all_used(driver: Driver) -> None:
    driver.install(cards(8))
    found = parallel(Asked())
    assert used(found) == list(range(8)) and found.workers == 16
    assert found.layout.workers == (*range(8), *range(8)) and set(found.layout.shares) == {4}
    assert found.per_finetune == 8


def test_memory_of_each_card_bounds_what_shares_it(driver: Driver) -> None:
    large, small = cards(2)
    driver.install([large, replace(small, name=L4[0], total_mib=L4[1])])
    found = parallel(Asked())
    assert found.shares == (4, 1) and found.layout.workers == (0, 1, 0, 0, 0)
    assert parallel(Asked(per_gpu=2)).layout.workers == (0, 1, 0, 1)


def test_cards_of_others_are_not_used_and_are_named(driver: Driver) -> None:
    free, computing, full, lightly = cards(4)
    driver.install(
        [free, busy(computing, SOMEBODY), busy(full, used_mib=60_000), busy(lightly, used_mib=900)]
    )
    found = parallel(Asked())
    assert used(found) == [0, 3] and found.per_finetune == 2
    assert [(card.index, reason) for card, reason in found.taken] == [
        (1, f"process {SOMEBODY}"),
        (2, "60,000 of 143,771 MiB in use"),
    ]
    assert [line for line in found.lines() if "GPU 1" in line and "GPU 2" in line]


def test_programs_that_started_this_one_are_not_others(driver: Driver) -> None:
    driver.install([busy(card, os.getpid(), os.getppid()) for card in cards(1)])
    assert used(parallel(Asked())) == [0]


def test_if_all_cards_are_taken_one_line_says_so(driver: Driver) -> None:
    driver.install([busy(card, SOMEBODY + card.index) for card in cards(2)])
    error = refused()
    assert error.got == f"GPU 0: process {SOMEBODY}; GPU 1: process {SOMEBODY + 1}"
    assert "\n" not in str(error)


def test_the_mask_of_the_user_is_respected(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.install([busy(card, *[SOMEBODY] * (card.index == 5)) for card in cards(8)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,GPU-5,2")
    found = parallel(Asked())
    assert used(found) == [6, 2] and found.cards[0].uuid == "GPU-60000000"


@pytest.mark.parametrize("value", ["1,8", "GPU-9", "0,x"])
def test_masked_card_that_is_not_here_is_refused(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    driver.install(cards(8))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    error = refused()
    assert error.got == value.rpartition(",")[2] and "7 or GPU-70000000" in str(error.allowed)


def test_mig_devices_are_cards_and_fine_tune_one_by_one(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.install([replace(card, slices=("3g.71gb", "3g.71gb")) for card in cards(2)])
    found = parallel(Asked())
    assert [card.uuid for card in found.cards] == [
        f"MIG-{card}{each}000000" for card in (0, 1) for each in (0, 1)
    ]
    assert found.per_finetune == 1 and found.shares == (3,) * 4
    assert refused(gpus_per_finetune=2).allowed == "1 to 1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-11000000")
    assert [card.uuid for card in parallel(Asked()).cards] == ["MIG-11000000"]


def test_more_than_there_is_is_refused(driver: Driver) -> None:
    driver.install(cards(2))
    assert (refused(gpus_per_finetune=3).got, refused(gpus_per_finetune=3).allowed) == (3, "1 to 2")
    error = refused(workers=17)
    assert error.got == 17 and str(error.allowed).startswith("1 to 16: ")
    assert parallel(Asked(workers=16, gpus_per_finetune=1)).per_finetune == 1


def test_without_a_card_workers_are_free_and_options_of_cards_are_refused(driver: Driver) -> None:
    driver.install([])
    found = parallel(Asked(workers=40))
    assert found.layout.workers == (None,) * 40 and not found.layout.shares and not found.layout.cores
    assert refused(per_gpu=2).got == 2 and refused(gpus_per_finetune=1).got == 1


def test_hidden_cards_leave_the_processor(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.install([busy(card, SOMEBODY) for card in cards(1)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert parallel(Asked()).cards == () and parallel(Asked()).workers == 2


def test_fewer_workers_than_cards_take_the_first_cards(driver: Driver) -> None:
    driver.install(cards(8))
    assert parallel(Asked(workers=3)).layout.workers == (0, 1, 2)


def test_lost_card_is_named(driver: Driver) -> None:
    driver.install(cards(2))
    here, other = parallel(Asked()).cards
    assert lost([here, other], "captions", "CUDA error: an illegal memory access was encountered") is None
    assert lost([], "captions", "device lost") is None
    driver.install(
        cards(1), "Unable to determine the device handle for GPU 0000:04:00.0: GPU is lost.", code=15
    )
    error = lost([here, other], "captions", "CUDA error: unspecified launch failure")
    assert (
        error is not None and "GPU 1 (NVIDIA H200), GPU-10000000" in error.what and "GPU 0" not in error.what
    )
    error = lost([here], "captions", "CUDA error: device lost")
    assert error is not None and "GPU 0" in error.what and error.exit_code == 2


def test_title_of_a_card() -> None:
    assert Card(name="NVIDIA L4", driver="1", total_mib=1, index=3, uuid="GPU-3").title == "GPU 3 (NVIDIA L4)"
