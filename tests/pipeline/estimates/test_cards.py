"""Cards by name, and detection of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pretend_cards import Driver, Pretended
from uvlp.pipeline.estimates import cards


@pytest.fixture(autouse=True)
def clear_cache() -> None:
    cards.this_machine.cache_clear()


@pytest.mark.parametrize(
    ("reported", "card"),
    [
        ("NVIDIA H200, 143771", "h200"),
        ("NVIDIA H100 80GB HBM3, 81559", "h100"),
        ("NVIDIA H100 PCIe, 81559", "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB, 81920", "a100-80gb"),
        ("NVIDIA A100-SXM4-40GB, 40960", "a100-40gb"),
        ("NVIDIA L40S, 46068", "l40s"),
        ("NVIDIA L4, 23034", "l4"),
        ("NVIDIA GeForce RTX 4090, 24564", "rtx-4090"),
    ],
)
def test_card_is_recognised_by_its_driver_name(
    reported: str, card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(reported, tmp_path, monkeypatch)
    machine = cards.this_machine()
    assert machine.half == cards.CARDS[card].half and machine.known
    assert machine.name == reported.partition(",")[0]
    assert machine.memory_bytes == float(reported.partition(",")[2]) * 2**20


def driver(reported: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, mebibytes = reported.partition(",")
    Driver(folder, monkeypatch).install([Pretended(name=name, total_mib=int(mebibytes), index=0)])


def test_unknown_card_is_named_and_has_no_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver("NVIDIA Something 9, 1000", tmp_path, monkeypatch)
    machine = cards.this_machine()
    assert (machine.known, machine.name, machine.gpu) == (False, "NVIDIA Something 9", True)


def test_driver_without_a_card_means_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Driver(tmp_path, monkeypatch).install([], "No devices were found", code=9)
    machine = cards.this_machine()
    assert not machine.gpu and machine.known and machine.single > 1e8
    assert "measured now" in machine.source


def test_card_names_can_be_written_in_several_ways() -> None:
    assert cards.named("NVIDIA H200") is cards.named("h200")
    assert cards.named("RTX_4090") is cards.named("rtx-4090")
