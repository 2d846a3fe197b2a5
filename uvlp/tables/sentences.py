"""Result of a table in one sentence per method and network, shown above it."""

from __future__ import annotations

from uvlp.artifacts.tables import Cell, Comparison, Table

REFERENCE = "random"
NO_REFERENCE = f"Nothing to compare with: add {REFERENCE} to compare"


def sentences(table: Table) -> list[str]:
    """Compare the best accuracy of every method with the reference.

    For example "UVLP best 95.2, Random 93.9: +1.3 points, cannot tell (p 0.22; 3 trainings; about 12 would
    decide)"; with several networks "UVLP with convnet-3: best 95.2, ...".
    """
    cells = {(cell.method, cell.network): cell for cell in table.cells}
    compared = [one for method in table.rows for one in table.comparisons if one.method == method]
    lines = [
        _sentence(
            one, cells[one.method, one.network], cells[one.reference, one.network], len(table.networks) > 1
        )
        for one in compared
        if one.which == "best"
    ]
    return lines or [NO_REFERENCE] * (REFERENCE not in table.rows)


def _sentence(one: Comparison, cell: Cell, reference: Cell, name_network: bool) -> str:
    network = f" with {one.network}:" if name_network else ""
    means = f"best {cell.best.mean_pct:.1f}, {reference.title} {reference.best.mean_pct:.1f}"
    about = [
        f"p {one.show_p()}",
        f"{one.pairs} training{'s' * (one.pairs != 1)}",
        *_decided_by(one),
    ]
    difference = f"{one.difference_points:+.1f} points, {one.verdict} ({'; '.join(about)})"
    return f"{cell.title}{network} {means}: {difference}"


def _decided_by(one: Comparison) -> list[str]:
    if one.basis == "images":
        return ["one training of each says nothing of others"]
    if one.decided_by is None:
        return []
    return [f"about {one.decided_by} would decide" if one.decided_by else "too few test images to decide"]
