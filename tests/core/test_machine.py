"""GPUs as reported by a pretended `nvidia-smi`, and the resulting number of workers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.pretend_cards import L4, Driver, Pretended, cards
from uvlp.core import machine, nvidia
from uvlp.core.nvidia import Card


def test_gpu_names_may_contain_commas(driver: Driver) -> None:
    driver.install([*cards(1), Pretended(name="GPU, odd", total_mib="[N/A]", index=1)])
    assert nvidia.cards() == (
        Card(
            name="NVIDIA H200",
            driver="580.65.06",
            total_mib=143771,
            index=0,
            uuid="GPU-00000000",
            used_mib=4,
        ),
        Card(name="GPU, odd", driver="580.65.06", total_mib=0, index=1, uuid="GPU-10000000", used_mib=4),
    )
    assert machine.driver_version() == "580.65.06"


def test_driver_warnings_are_not_gpus(driver: Driver) -> None:
    driver.install(cards(1), "WARNING: infoROM is corrupted at gpu 0000:04:00.0")
    assert [card.name for card in nvidia.cards()] == ["NVIDIA H200"]


def test_failing_driver_counts_as_no_driver(driver: Driver) -> None:
    driver.install([], "NVIDIA-SMI has failed because it could not communicate with the driver", code=9)
    assert nvidia.cards() == () and machine.driver_version() is None


def test_lost_card_is_not_listed_and_the_others_are(driver: Driver) -> None:
    lost = Pretended(name="NVIDIA H200", total_mib="[GPU is lost]", index=1)
    unreachable = "Unable to determine the device handle for GPU 0000:04:00.0: GPU is lost."
    driver.install([*cards(1), lost, *cards(3)[2:]], unreachable, code=15)
    assert [card.index for card in nvidia.cards()] == [0, 2]


@pytest.mark.parametrize("value", ["", "-1"])
def test_masked_gpu_is_not_visible(driver: Driver, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    driver.install(cards(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert nvidia.all_gpus_masked() and nvidia.visible_gpus() == () and len(nvidia.cards()) == 1


@pytest.mark.parametrize(
    ("value", "visible"),
    [
        ("2,0", [2, 0]),
        (" 1 , 3", [1, 3]),
        ("GPU-30000000,GPU-1", [3, 1]),
        ("1,1", [1]),
        ("0,7,1", [0]),
        ("0,-1,1", [0]),
        ("GP", []),
    ],
)
def test_mask_selects_cards_as_cuda_does(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, value: str, visible: list[int]
) -> None:
    driver.install(cards(4))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert [card.index for card in nvidia.visible_gpus()] == visible


def test_partitioned_card_is_used_by_its_mig_devices(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, partitioned = cards(2)
    driver.install([whole, replace(partitioned, slices=("3g.71gb", "1g.18gb+me"))])
    found = nvidia.visible_gpus()
    assert [card.uuid for card in found] == ["GPU-00000000", "MIG-10000000", "MIG-11000000"]
    assert [card.total_mib for card in found[1:]] == [71 * 1024, 18 * 1024]
    assert found[1].name == "NVIDIA H200 MIG 3g.71gb" and {card.index for card in found[1:]} == {1}
    nvidia.visible_gpus.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-11000000")
    assert [card.uuid for card in nvidia.visible_gpus()] == ["MIG-11000000"]
    nvidia.visible_gpus.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [card.uuid for card in nvidia.visible_gpus()] == ["MIG-10000000"], "the first, as for CUDA"


def test_processes_are_listed_by_card(driver: Driver) -> None:
    first, second = cards(2)
    driver.install([replace(first, processes=(12, 34)), second])
    assert nvidia.processes() == {"GPU-00000000": [12, 34]}


@pytest.mark.parametrize(
    ("pretended", "cores", "expected"),
    [(cards(1), 16, 4), (cards(1, L4), 16, 1), (cards(1), 2, 2), (cards(8), 96, 32), (cards(8), 12, 12)],
)
def test_gpu_memory_limits_the_number_of_workers(
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    pretended: list[Pretended],
    cores: int,
    expected: int,
) -> None:
    driver.install(pretended)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert machine.default_workers() == expected


def test_without_gpu_at_most_two_workers_run(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.install([], code=1)
    for cores, expected in ((1, 1), (8, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert machine.default_workers() == expected


FAULTS = """
import resource
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    piece = b"1" * (40 << 20)
    del piece
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_worker_does_not_touch_the_pages_of_every_step_anew() -> None:
    """40 MB are 10,240 pages of 4 kB; glibc alone returns a piece of this size whenever it is freed."""
    environment = os.environ | machine.thread_environment()
    command = [sys.executable, "-c", FAULTS]
    found = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert int(found) < 100
