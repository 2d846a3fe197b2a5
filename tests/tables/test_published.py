"""Published accuracies of different sources are separate."""

from __future__ import annotations

import csv

import pytest

from uvlp.core.errors import UvlpError
from uvlp.tables import published
from uvlp.tables.published import find, show, table

with published.FILE.open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))


def test_every_row_is_found_with_its_number_and_source() -> None:
    assert len(published.cells()) == len(ROWS) > 200
    for row in ROWS:
        cell_key = (row["dataset"], int(row["ipc"]), row["method"], row["test_model"], row["protocol"])
        numbers = [(cell.source, cell.mean_pct, cell.std_pct) for cell in find(*cell_key)]
        assert (row["source"], float(row["mean"]), float(row["std"])) in numbers, row


def test_contradicting_sources_are_both_shown() -> None:
    shown = show("imagenette", 10, "vlcp", "resnet-ap-10", "minimax")
    assert shown == "61.0 ± 0.5 (uvlp-readme), 64.8 ± 3.6 (vlcp-readme)"


@pytest.mark.parametrize("network", ["resnet-18", "resnet18", "ResNet_18"])
def test_networks_are_found_by_the_names_of_both_protocols(network: str) -> None:
    assert show("imagenet1k", 10, "vlcp", network, "rded") == "46.7 ± 0.4 (vlcp-readme)"


def test_full_set_has_the_same_accuracy_at_every_ipc() -> None:
    assert show("imagewoof", 10, "full", "convnet-6", "minimax") == (
        "86.4 ± 0.2 (uvlp-readme), 86.4 ± 0.2 (minimax-readme)"
    )
    assert find("imagewoof", 33, "full", "convnet-6", "minimax")


@pytest.mark.parametrize(
    "cell_key",
    [
        ("imagenette", 11, "uvlp", "resnet-ap-10", "minimax"),
        ("imagenette", 10, "uvlp", "resnet-18", "minimax"),
        ("imagenette", 10, "uvlp", "resnet-ap-10", "rded"),
        ("cifar10", 10, "vlcp", "resnet18_modified", "rded"),
    ],
)
def test_unknown_cell_is_none_published(cell_key: tuple[str, int, str, str, str]) -> None:
    assert show(*cell_key) == "none published"


def test_every_table_has_cells_of_one_source() -> None:
    for name in published.TABLES:
        assert len({cell.source for cell in table(name)}) == 1, name
    assert sum(len(table(name)) for name in published.TABLES) == len(ROWS) - 8  # 8: Minimax's ImageNet-1K


def test_unknown_table_lists_the_known_ones() -> None:
    with pytest.raises(UvlpError) as caught:
        table("nette")
    assert caught.value.got == "nette" and "nette-idc" in str(caught.value.allowed)
