"""GPUs as reported by a fake `nvidia-smi`, and the resulting number of workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uvlp.core import machine, nvidia
from uvlp.core.nvidia import Card

H200 = "NVIDIA H200, 580.65.06, 143771"
L4 = "NVIDIA L4, 580.65.06, 23034"
Driver = Callable[..., None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """Put a program `nvidia-smi` that prints the given lines first in PATH."""

    def install(*lines: str, code: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        text = "\n".join(lines)
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{text}'\nexit {code}\n")
        program.chmod(0o755)
        nvidia.visible_gpus.cache_clear()

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvidia.visible_gpus.cache_clear()
    yield install
    nvidia.visible_gpus.cache_clear()


def test_gpu_names_may_contain_commas(driver: Driver) -> None:
    driver(H200, "GPU, odd, 580.65.06, [N/A]")
    assert nvidia.cards() == (
        Card(name="NVIDIA H200", driver="580.65.06", total_mib=143771),
        Card(name="GPU, odd", driver="580.65.06", total_mib=0),
    )
    assert machine.driver_version() == "580.65.06"


def test_driver_warnings_are_not_gpus(driver: Driver) -> None:
    driver(H200, "WARNING: infoROM is corrupted at gpu 0000:04:00.0")
    assert [card.name for card in nvidia.cards()] == ["NVIDIA H200"]


def test_failing_driver_counts_as_no_driver(driver: Driver) -> None:
    driver("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver", code=9)
    assert nvidia.cards() == () and machine.driver_version() is None


@pytest.mark.parametrize("value", ["", "-1"])
def test_masked_gpu_is_not_visible(driver: Driver, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    driver(H200)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert nvidia.all_gpus_masked() and nvidia.visible_gpus() == () and len(nvidia.cards()) == 1


@pytest.mark.parametrize(("card", "cores", "expected"), [(H200, 16, 4), (L4, 16, 1), (H200, 2, 2)])
def test_gpu_memory_limits_the_number_of_workers(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, card: str, cores: int, expected: int
) -> None:
    driver(card)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert machine.default_workers() == expected
    assert machine.takes_the_gpu("finetune") and not machine.takes_the_gpu("evaluate")


def test_without_gpu_at_most_two_workers_run(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(code=1)
    for cores, expected in ((1, 1), (8, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert machine.default_workers() == expected
    assert not machine.takes_the_gpu("finetune")
