"""What each part of a method is worth: its accuracy minus that of the method without the part."""

from __future__ import annotations

from uvlp.artifacts.tables import Comparison, Table
from uvlp.tables.grids import Grid

WORTH = {"better": "helps", "worse": "hurts"}
"""What a verdict on a method against its ablation says of the part that the ablation lacks."""


def _says(one: Comparison, *, alone: bool) -> str:
    """Return what a comparison says of the part; ``alone``: and what would decide where it says nothing."""
    said = WORTH.get(one.verdict, one.verdict)
    if not alone or one.decided_by is None:
        return said
    many = f"about {one.decided_by} trainings would" if one.decided_by else "too few test images to"
    return f"{said} ({many} decide)"


def worth(table: Table, passes: tuple[str, ...] = ("best", "last")) -> Grid:
    """Return a row per ablation and network with the given passes side by side."""
    rows: dict[tuple[str, str], list[Comparison]] = {}
    for one in table.comparisons:
        rows.setdefault((one.reference, one.network), []).append(one)
    networks = len(table.networks) > 1
    return Grid(
        heading=f"What each part is worth: {table.title(table.cells[0].method)} minus its ablation in points "
        "(95 % interval), paired image by image",
        head=["ablation", "what it is", *["network"] * networks]
        + [text for which in passes for text in (which, "p", "the part")],
        body=[
            [method.partition(":")[2], table.ablations[method], *[network] * networks]
            + [
                text
                for one in compared
                if one.which in passes
                for text in (one.show(), one.show_p(), _says(one, alone=len(passes) == 1))
            ]
            for (method, network), compared in rows.items()
        ],
        left=frozenset({"ablation", "what it is", "network", "the part"}),
    )
