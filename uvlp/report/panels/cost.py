"""Time and memory of every stage, from the manifests."""

from __future__ import annotations

from functools import partial
from typing import Any

from uvlp.core.wording import duration
from uvlp.report import charts
from uvlp.report.blocks import Figure, Grid, Panel
from uvlp.report.run import Artifact, Run

ROW_PX = 24


def panel(run: Run) -> Panel:
    """Return the section."""
    stages: dict[str, list[Artifact]] = {}
    for artifact in reversed(run.chain.values()):  # inputs first
        stages.setdefault(artifact.stage, []).append(artifact)
    rows = [_row(stage, artifacts) for stage, artifacts in stages.items()]
    total = sum(row["seconds"] for row in rows)
    hosts = ", ".join(sorted({str(each.made.get("host")) for each in run.chain.values()}))
    gpus = ", ".join(sorted({str(each.made["gpu"]) for each in run.chain.values() if each.made.get("gpu")}))
    result = Panel(
        id="cost",
        title="Time and memory",
        lead=f"{duration(total)} of work in {len(run.chain)} artifacts, each on one process with one thread; "
        f"machine {hosts}, GPU {gpus or 'none'}.",
    )
    longest = max(rows, key=lambda row: row["seconds"])
    result.blocks.append(
        Figure(
            name="cost",
            title="Time and peak memory by stage",
            text=f"Time and peak memory by stage; the longest is {longest['stage']} with "
            f"{duration(longest['seconds'])}",
            draw=partial(_draw, rows),
        )
    )
    header = ["stage", "artifacts", "time", "longest", "peak memory, MB", "peak GPU memory, MB"]
    result.blocks.append(
        Grid(
            caption="By stage",
            header=header,
            rows=[
                [
                    row["stage"],
                    str(row["count"]),
                    duration(row["seconds"]),
                    duration(row["longest"]),
                    str(row["memory"] or ""),
                    str(row["gpu_memory"] or ""),
                ]
                for row in rows
            ],
            folded=True,
        )
    )
    if run.absent:
        result.left_out.append(
            f"Stages of {len(run.absent)} artifacts that are no longer in the store: "
            + "; ".join(run.absent[:3])
            + ("…" if len(run.absent) > 3 else "")
        )
    return result


def _row(stage: str, artifacts: list[Artifact]) -> dict[str, Any]:
    seconds = [float(each.made.get("seconds") or 0) for each in artifacts]
    return {
        "stage": stage,
        "count": len(artifacts),
        "seconds": sum(seconds),
        "longest": max(seconds),
        "memory": max(int(each.made.get("peak_memory_mb") or 0) for each in artifacts),
        "gpu_memory": max(int(each.made.get("gpu_peak_memory_mb") or 0) for each in artifacts),
        "label": f"{stage}: {duration(sum(seconds))}",
    }


def _draw(rows: list[dict[str, Any]], width: int) -> Any:
    import altair

    wide = width > 500
    order = [row["stage"] for row in rows]
    side = (width - 190) // 2 if wide else width - 150
    drawn = []
    for index, (field, title) in enumerate((("seconds", "seconds"), ("memory", "peak memory, MB"))):
        axis = altair.Axis(domain=False, ticks=False, labelLimit=120)
        y = altair.Y("stage:N", sort=order, title=None, axis=None if wide and index else axis)
        x = altair.X(f"{field}:Q", title=title, axis=altair.Axis(tickCount=4))
        bars = altair.Chart(charts.values(rows)).mark_bar(
            color=charts.PALETTE[0 if not index else 4], cornerRadiusEnd=2, height={"band": 0.7}
        )
        drawn.append(
            bars.encode(x=x, y=y, description="label:N").properties(width=side, height=ROW_PX * len(rows))
        )
    return altair.concat(*drawn, columns=2 if wide else 1, spacing=16)
