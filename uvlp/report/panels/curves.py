"""Learning curves of all trainings."""

from __future__ import annotations

from functools import partial
from typing import Any

from uvlp.report import charts
from uvlp.report.blocks import Figure, Panel
from uvlp.report.run import Run
from uvlp.tables import published


def panel(run: Run) -> Panel:
    """Return the section; without figures if no score is in the store."""
    result = Panel(
        id="curves",
        title="Learning curves",
        lead="Validation accuracy of every pass. Thin lines are single trainings, thick ones their mean.",
    )
    for position, network in enumerate(run.table.networks):
        points, means = _points(run, position)
        if points:
            shown = published.title(network)
            final = "; ".join(f"{name} ends at {pct:.1f} %" for name, pct in _ends(means).items())
            result.blocks.append(
                Figure(
                    name="curves",
                    title=f"Validation accuracy of {shown} by epoch",
                    text=f"Validation accuracy of {shown} by epoch: {final}",
                    draw=partial(_draw, points, means),
                )
            )
    missing = sum(
        len(cell.scores) - len(scores)
        for method in run.methods
        for cell, scores in zip(method.cells, method.trainings, strict=True)
    )
    if missing:
        result.left_out.append(f"{missing} trainings, whose scores are no longer in the store.")
    return result


def _points(run: Run, position: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Points of every training, and of the mean of each method."""
    points: list[dict[str, Any]] = []
    sums: dict[tuple[str, int], list[float]] = {}
    for method in run.methods:
        if position >= len(method.trainings):
            continue
        for (seed, repeat), score in method.trainings[position].items():
            for epoch, pct in score.curve:
                training = f"{method.title} {seed} {repeat}"
                points.append({"method": method.title, "training": training, "epoch": epoch, "pct": pct})
                sums.setdefault((method.title, epoch), []).append(pct)
    means = [
        {"method": title, "epoch": epoch, "pct": sum(pcts) / len(pcts)}
        for (title, epoch), pcts in sums.items()
    ]
    return points, means


def _ends(means: list[dict[str, Any]]) -> dict[str, float]:
    return {point["method"]: point["pct"] for point in sorted(means, key=lambda each: each["epoch"])}


def _draw(points: list[dict[str, Any]], means: list[dict[str, Any]], width: int) -> Any:
    import altair

    methods = list(dict.fromkeys(point["method"] for point in points))
    colour = altair.Color(
        "method:N", scale=charts.colours(methods), title=None, legend=altair.Legend(symbolOpacity=1)
    )
    x = altair.X("epoch:Q", title="epoch", axis=altair.Axis(tickMinStep=1, grid=False))
    y = altair.Y("pct:Q", title="accuracy, %", scale=altair.Scale(zero=False))
    thin = altair.Chart(charts.values(points)).mark_line(strokeWidth=0.9, opacity=0.4)
    thick = altair.Chart(charts.values(means)).mark_line(
        strokeWidth=2.4, point=altair.OverlayMarkDef(size=14)
    )
    return altair.layer(
        thin.encode(x=x, y=y, color=colour, detail="training:N"), thick.encode(x=x, y=y, color=colour)
    ).properties(width=width - 60, height=300)
