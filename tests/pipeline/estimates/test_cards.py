"""Cards by name, and this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvlp.pipeline.estimates import cards


@pytest.fixture(autouse=True)
def forget() -> None:
    cards.this_machine.cache_clear()


@pytest.mark.parametrize(
    ("said", "card"),
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
def test_a_card_is_known_by_the_drivers_name(
    said: str, card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(said, tmp_path, monkeypatch)
    found = cards.this_machine()
    assert found.half == cards.CARDS[card].half and found.known
    assert found.name == said.partition(",")[0]
    assert found.memory_bytes == float(said.partition(",")[2]) * 2**20


def driver(said: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, mebibytes = said.partition(",")
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "{name}, 580.65.06,{mebibytes}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_another_card_is_named_and_has_no_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver("NVIDIA Something 9, 1000", tmp_path, monkeypatch)
    found = cards.this_machine()
    assert (found.known, found.name, found.gpu) == (False, "NVIDIA Something 9", True)


def test_a_driver_without_a_card_is_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'no devices were found' >&2\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = cards.this_machine()
    assert not found.gpu and found.known and found.single > 1e8
    assert "measured now" in found.source


def test_names_may_be_written_in_several_ways() -> None:
    assert cards.named("NVIDIA H200") is cards.named("h200")
    assert cards.named("RTX_4090") is cards.named("rtx-4090")
