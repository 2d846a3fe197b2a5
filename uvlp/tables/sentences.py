"""Result of a table in one sentence per method, shown above it."""

from __future__ import annotations

from uvlp.artifacts.tables import Cell, Comparison, Table


def sentences(table: Table) -> list[str]:
    """Compare the best accuracy of every method with the reference, by network.

    For example "UVLP 95.2, Random 93.9: +1.3 points, cannot tell (p 0.22; 3 trainings; about 12 would
    decide)".
    """
    return [line for method in table.rows for line in [_sentence(table, method)] if line]


def _sentence(table: Table, method: str) -> str:
    cells = {(cell.method, cell.network): cell for cell in table.cells}
    compared = [one for one in table.comparisons if one.method == method and one.which == "best"]
    parts = [
        _clause(
            one, cells[one.method, one.network], cells[one.reference, one.network], len(table.networks) > 1
        )
        for one in compared
    ]
    return f"{table.title(method)} " + "; ".join(parts) if parts else ""


def _clause(one: Comparison, cell: Cell, reference: Cell, name_network: bool) -> str:
    network = f" with {one.network}" if name_network else ""
    means = f"{cell.best.mean_pct:.1f}, {reference.title} {reference.best.mean_pct:.1f}{network}"
    about = [
        f"p {one.show_p()}",
        f"{one.pairs} training{'s' * (one.pairs != 1)}",
        *_decided_by(one),
    ]
    return f"{means}: {one.difference_points:+.1f} points, {one.verdict} ({'; '.join(about)})"


def _decided_by(one: Comparison) -> list[str]:
    if one.basis == "images":
        return ["one training of each says nothing of others"]
    if one.decided_by is None:
        return []
    return [f"about {one.decided_by} would decide" if one.decided_by else "more trainings would not decide"]
