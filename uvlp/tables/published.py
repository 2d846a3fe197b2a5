"""Published accuracies, each with its source (`paper_tables/published`).

Several sources may give different numbers for the same cell; they are never mixed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.plugins import PACKAGE

FILE = PACKAGE.parent / "paper_tables" / "published" / "published_results.csv"
NONE = "none published"
TABLES = {
    "nette-idc": ("uvlp-readme", "nette-idc"),
    "woof-ipc10": ("uvlp-readme", "woof-ipc10"),
    "vlcp-nette-idc": ("vlcp-readme", "nette-idc"),
    "minimax-woof": ("minimax-readme", "woof"),
    "imagenet1k": ("vlcp-readme", "imagenet1k"),
}
"""Name of a table on the command line: the source and the name it has there."""
TITLES = {
    "random": "Random",
    "k-center": "K-Center",
    "herding": "Herding",
    "dm": "DM",
    "idc-1": "IDC-1",
    "glad": "GLaD",
    "dit": "DiT",
    "minimax": "Minimax",
    "sre2l": "SRe2L",
    "rded": "RDED",
    "d4m": "D4M",
    "vlcp": "VLCP",
    "uvlp": "UVLP",
    "full": "Full",
    "imagenette": "ImageNette",
    "imagewoof": "ImageWoof",
    "imageidc": "ImageIDC",
    "imagenet1k": "ImageNet-1K",
    "uvlp-readme": "UVLP's README",
    "vlcp-readme": "VLCP's README",
    "minimax-readme": "MinimaxDiffusion's README",
}
"""Methods, datasets and sources of the published tables, as they are written there."""
FAMILIES = {"convnet": "ConvNet", "resnet-ap": "ResNetAP", "resnet": "ResNet"}


def title(name: str) -> str:
    """Return a name as the published tables write it, networks of any depth included; others unchanged."""
    family, _, depth = name.rpartition("-")
    if name not in TITLES and depth.isdigit() and family in FAMILIES:
        return f"{FAMILIES[family]}-{depth}"
    return TITLES.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One cell of a published table: top-1 accuracy, percent.

    Attributes:
        source: source of the number, e.g. ``"uvlp-readme"``.
        table: the table of that source.
        dataset, protocol, network, method: names as on the command line.
        ipc: images per class.
        mean_pct, std_pct: as published; the number of trainings is not stated.
        network_inferred: the table does not name its network.
        validation_set: validation images, "ilsvrc" or "fastai"; "" if unknown.
        n: number of trainings; None if unknown.
        ddof: delta degrees of freedom of ``std_pct``; None if unknown.
        copied_from: older source with the same number; "" if none is known.
        note: further information in one sentence; may be empty.
    """

    source: str
    table: str
    dataset: str
    protocol: str
    network: str
    ipc: int
    method: str
    mean_pct: float
    std_pct: float
    network_inferred: bool
    validation_set: str = ""
    n: int | None = None
    ddof: int | None = None
    copied_from: str = ""
    note: str = ""

    def show(self) -> str:
        """Format the number with its source, e.g. ``63.0 ± 0.4 (uvlp-readme)``."""
        return f"{self.mean_pct:.1f} ± {self.std_pct:.1f} ({self.source})"


def canonical(name: str) -> str:
    """Normalise a name so that all sources and both protocols can be compared.

    ``resnet_ap-10`` and ``resnet-ap-10`` are the same network, as are ``convnet-3`` and RDED's ``conv3``.
    """
    return name.lower().replace("-", "").replace("_", "").replace("convnet", "conv")


@cache
def cells() -> tuple[Published, ...]:
    """Return all cells of all sources, in the order of the file.

    Raises:
        UvlpError: the file is missing, or a row is invalid.
    """
    if not FILE.is_file():
        raise UvlpError("the published accuracies are missing", got=str(FILE), fix="restore the file")
    with FILE.open(encoding="utf-8", newline="") as rows:
        return tuple(_cell(row, line) for line, row in enumerate(csv.DictReader(rows), start=2))


def _cell(row: dict[str, str], line: int) -> Published:
    try:
        return Published(
            source=row["source"],
            table=row["table"],
            dataset=row["dataset"],
            protocol=row["protocol"],
            network=row["test_model"].replace("_", "-"),
            ipc=int(row["ipc"]),
            method=row["method"],
            mean_pct=float(row["mean"]),
            std_pct=float(row["std"]),
            network_inferred=row["test_model_inferred"] == "yes",
            validation_set=row["validation_set"],
            n=int(row["n"]) if row["n"] else None,
            ddof=int(row["ddof"]) if row["ddof"] else None,
            copied_from=row["copied_from"],
            note=row["note"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise UvlpError(
            f"line {line} of {Path(FILE).name} is not a valid published cell", got=str(error)
        ) from None


def has(dataset: str) -> bool:
    """Whether any source has a cell of a dataset."""
    return any(canonical(cell.dataset) == canonical(dataset) for cell in cells())


def find(dataset: str, ipc: int, method: str, network: str, protocol: str) -> list[Published]:
    """Return the cell from every source that has it, in the order of the file.

    The full set (`full`) is the same at every IPC, so its cells match any IPC.
    """
    wanted = [canonical(name) for name in (dataset, method, network, protocol)]
    matches = [
        cell
        for cell in cells()
        if [canonical(name) for name in (cell.dataset, cell.method, cell.network, cell.protocol)] == wanted
        and (cell.ipc == ipc or method == "full")
    ]
    return _first_of_each_source(matches) if method == "full" else matches


def _first_of_each_source(matches: Iterable[Published]) -> list[Published]:
    """Return the first cell of every source: sources repeat the full set's accuracy at every IPC."""
    first: dict[str, Published] = {}
    for cell in matches:
        first.setdefault(cell.source, cell)
    return list(first.values())


def show(dataset: str, ipc: int, method: str, network: str, protocol: str) -> str:
    """Format the published numbers of a cell with their sources, or "none published"."""
    matches = find(dataset, ipc, method, network, protocol)
    return ", ".join(cell.show() for cell in matches) or NONE


def table(name: str) -> list[Published]:
    """Return the cells of a published table.

    Raises:
        UvlpError: no such table.
    """
    if name not in TABLES:
        raise unknown_name("published table", name, TABLES)
    return [cell for cell in cells() if (cell.source, cell.table) == TABLES[name]]
