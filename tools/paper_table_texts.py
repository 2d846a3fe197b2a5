"""The published tables as text, and their claims with commands and costs, before anything was measured.

    python -m tools.paper_table_texts

writes `paper_tables/published/NAME.md`, `NAME.tex` and `docs/claims.md`; a test compares them with what would
be written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from uvlp.artifacts.store import Store
from uvlp.core import plugins
from uvlp.core.wording import byte_size, duration
from uvlp.pipeline.published import show
from uvlp.pipeline.published.runs import estimates, runs
from uvlp.tables import published
from uvlp.tables.published import Published
from uvlp.tables.verdicts import ASSUMED_N, published_interval_pct

CLAIMS = Path(__file__).resolve().parents[1] / "docs" / "claims.md"
FOLDER = published.FILE.parent
ENDINGS = {"markdown": "md", "latex": "tex"}


def texts() -> dict[str, str]:
    """Every table in both forms, by file name."""
    with tempfile.TemporaryDirectory() as empty:
        return {
            f"{name}.{ending}": show.render(name, form, Store(Path(empty)))
            for name in published.TABLES
            for form, ending in ENDINGS.items()
        }


CLAIMS_HEAD = f"""# The claims of the published tables, one by one

Expected is the published mean with the 95 % interval of its mean, as far as {ASSUMED_N} trainings, which no
source states, can give it (Student's t; the published deviation divides by n under the Minimax protocol).
Methods that are no method here are left out. Costs are projected for one H200
([projected_cost.md](../paper_tables/projected_cost.md)), not measured; what an earlier row of a table makes
is counted there. Without a GPU, add `--dry-run` to a command. After a run, `uvlp table NAME` shows measured
beside published with a verdict, and `uvlp verify` checks the store ([verify.md](verify.md)).

Written by `python -m tools.paper_table_texts`.
"""


def claims() -> str:
    """`docs/claims.md`."""
    parts = [CLAIMS_HEAD]
    for name in published.TABLES:
        parts += [f"## {name}: {published.title(published.table(name)[0].source)}", "", *_rows(name), ""]
    return "\n".join(parts).rstrip() + "\n"


def _rows(name: str) -> list[str]:
    here = plugins.names("methods")
    wanted = runs([cell for cell in published.table(name) if cell.method in here])
    lines = [
        "| expected, top-1 in percent | command | time | GPU memory | disk |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (run, cells), estimate in zip(wanted.items(), estimates(wanted), strict=True):
        sizes = [byte_size(round(size)) for size in (estimate.gpu_bytes, estimate.disk_bytes)]
        row = [_expected(cells), f"`uvlp {run.options}{run.seeds}`", duration(estimate.seconds), *sizes]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _expected(cells: Sequence[Published]) -> str:
    """One line per network of a cell of a Markdown table."""
    by_network: dict[str, list[str]] = {}
    for cell in cells:
        low, high = published_interval_pct(cell)
        text = f"{published.title(cell.method)} {cell.mean_pct:.1f} ({low:.1f} to {high:.1f})"
        by_network.setdefault(published.title(cell.network), []).append(text)
    return "<br>".join(f"{network}: {', '.join(texts)}" for network, texts in by_network.items())


def files() -> dict[Path, str]:
    """Every text by its path."""
    return {FOLDER / name: text for name, text in texts().items()} | {CLAIMS: claims()}


def main() -> None:
    """Write them all."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
