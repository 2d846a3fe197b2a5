"""`tables`: measured cells with the scores they come from, as JSON, Markdown, LaTeX and CSV.

Files: `table.json` (everything), `table.md`, `table.tex`, `table.csv`.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

KIND = "tables"
SCHEMA = 1
FORMATS = {"markdown": "table.md", "latex": "table.tex", "csv": "table.csv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One method scored with one network.

    Attributes:
        method: method name with its variant, as on the command line.
        title: method name for readers.
        network: network name.
        best_pct: best accuracy of each training, percent, by seed, then repeat.
        last_pct: last accuracy of each training, percent, in the same order.
        scores: names of the score artifacts, in the same order.
    """

    method: str
    title: str
    network: str
    best_pct: tuple[float, ...]
    last_pct: tuple[float, ...]
    scores: tuple[str, ...]

    @staticmethod
    def _show(values: tuple[float, ...], sign: str) -> str:
        mean = statistics.fmean(values)
        spread = f" {sign} {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{mean:.1f}{spread}"

    def best(self, sign: str = "±") -> str:
        """Mean and sample standard deviation (ddof 1) of the best accuracies."""
        return self._show(self.best_pct, sign)

    def last(self, sign: str = "±") -> str:
        """Mean and sample standard deviation (ddof 1) of the last accuracies."""
        return self._show(self.last_pct, sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All cells of one run.

    Attributes:
        name: e.g. ``digits-ipc10``.
        caption: one sentence: dataset, IPC, protocol, profile.
        cells: method by method.
        notes: what a reader must know, one sentence each.
    """

    name: str
    caption: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]

    @property
    def networks(self) -> list[str]:
        """Network names in order."""
        return list(dict.fromkeys(cell.network for cell in self.cells))

    @property
    def rows(self) -> dict[str, list[Cell]]:
        """Cells by method title, in order."""
        rows: dict[str, list[Cell]] = {}
        for cell in self.cells:
            rows.setdefault(cell.title, []).append(cell)
        return rows


def markdown(table: Table) -> str:
    """The table with its notes and, per cell, the scores it comes from."""
    head = ["method"] + [f"{network} {which}" for network in table.networks for which in ("best", "last")]
    body = [
        [title] + [text for cell in cells for text in (cell.best(), cell.last())]
        for title, cells in table.rows.items()
    ]
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [table.caption, "", _line(head, widths), _line(["-" * width for width in widths], widths)]
    lines += [_line(row, widths) for row in body]
    lines += ["", *[f"- {note}" for note in table.notes], ""]
    return "\n".join(lines)


def _line(cells: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)) + " |"


def sources(table: Table) -> str:
    """Markdown list of the score artifacts behind every cell."""
    lines = ["", "Scores behind each cell:", ""]
    lines += [f"- {cell.method}, {cell.network}: {', '.join(cell.scores)}" for cell in table.cells]
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    """A booktabs table; sources and notes stand in comments."""
    networks = table.networks
    lines = [f"% {_escape(note)}" for note in table.notes]
    lines += [f"% {cell.method}, {cell.network}: {', '.join(cell.scores)}" for cell in table.cells]
    lines += [
        r"\begin{tabular}{l" + "cc" * len(networks) + "}",
        r"\toprule",
        "Method & " + " & ".join(rf"\multicolumn{{2}}{{c}}{{{_escape(name)}}}" for name in networks) + r" \\",
        " & " + " & ".join(["best & last"] * len(networks)) + r" \\",
        r"\midrule",
    ]
    for title, cells in table.rows.items():
        texts = [f"${text}$" for cell in cells for text in (cell.best(r"\pm"), cell.last(r"\pm"))]
        lines.append(f"{_escape(title)} & {' & '.join(texts)} \\\\")
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def _escape(text: str) -> str:
    for symbol in "&%$#_{}":
        text = text.replace(symbol, "\\" + symbol)
    return text.replace("±", r"$\pm$").replace("×", r"$\times$")


def comma_separated(table: Table) -> str:
    """One row per training, unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "method", "network", "training", "best_pct", "last_pct", "score"])
    for cell in table.cells:
        for n, values in enumerate(zip(cell.best_pct, cell.last_pct, cell.scores, strict=True), start=1):
            writer.writerow([table.name, cell.method, cell.network, n, *values])
    return out.getvalue()


def write(folder: Path, table: Table) -> None:
    """Write all four files."""
    (folder / "table.json").write_text(json.dumps(asdict(table), indent=1, ensure_ascii=False) + "\n")
    (folder / "table.md").write_text(markdown(table) + sources(table))
    (folder / "table.tex").write_text(latex(table))
    (folder / "table.csv").write_text(comma_separated(table))


def read(folder: Path) -> Table:
    """The table of a finished artifact."""
    values = json.loads((folder / "table.json").read_text())
    for cell in values["cells"]:
        for name in ("best_pct", "last_pct", "scores"):
            cell[name] = tuple(cell[name])
    cells = tuple(Cell(**cell) for cell in values["cells"])
    return Table(name=values["name"], caption=values["caption"], cells=cells, notes=tuple(values["notes"]))
