"""Diagnostics of the fused CLIP space: dispersion, separation, alignment, and distance to the real class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from uvlp.report import charts
from uvlp.report.blocks import Figure, Grid, Panel
from uvlp.report.fused_space import FusedSpace, placed, space_of
from uvlp.report.pictures import Pictures, evenly
from uvlp.report.run import Run

if TYPE_CHECKING:
    import numpy

REAL = "training set"
IMAGES = 20_000
"""Training images; of a larger set fewer of each class are used."""
MEASURES = {
    "dispersion": "1 − cosine between an image and the centre of its class",
    "separation": "1 − cosine between the centre of a class and the nearest other centre",
    "alignment": "cosine between the centre of a class and its name",
    "distance": "1 − cosine between the centre of a class and that of its training images",
}


def panel(run: Run, pictures: Pictures) -> Panel:
    """Return the section with one figure and a table of means."""
    result = Panel(id="diagnostics", title="CLIP diagnostics", lead="")
    space = space_of(run)
    if space is None or not pictures.rows_of_class:
        result.left_out.append("No CLIP features of this run are in the store.")
        return result
    result.lead = (
        f"By class, in fused CLIP features ({space.origin}). "
        + "; ".join(f"{name}: {meaning}" for name, meaning in MEASURES.items())
        + ". Synthesised images stand where the mean of what they were made from lies."
    )
    sets = dict(_sets(run, pictures, space, result))
    points = list(_points(run, space, sets))
    means = _means(points)
    titles = list(sets)
    names = [name for name in MEASURES if any(name in of_set for of_set in means.values())]
    spoken = "; ".join(
        f"{title}: " + ", ".join(f"{name} {value:.3f}" for name, value in of_set.items())
        for title, of_set in means.items()
    )
    result.blocks.append(
        Figure(
            name="diagnostics",
            title="Dispersion, separation, alignment and distance",
            text=f"Means over classes. {spoken}",
            draw=partial(_draw, points, titles, names),
        )
    )
    result.blocks.append(
        Grid(
            caption="Means over classes",
            header=["images", *names],
            rows=[
                [title, *(f"{means[title][name]:.4f}" if name in means[title] else "" for name in names)]
                for title in titles
            ],
        )
    )
    return result


Features = Mapping[int, "numpy.ndarray"]
"""Unit rows [n, D] by class index."""


def _sets(run: Run, pictures: Pictures, space: FusedSpace, result: Panel) -> Iterator[tuple[str, Features]]:
    """The features of the training images, then of each method's images."""
    import numpy

    most = max(2, IMAGES // len(pictures.rows_of_class))
    of_class = {
        label: space.at([rows[index] for index in evenly(len(rows), most)])
        for label, rows in enumerate(pictures.rows_of_class)
    }
    if any(len(rows) > most for rows in pictures.rows_of_class):
        result.left_out.append(f"Of every class at most {most} training images are used.")
    yield REAL, of_class
    for method in run.methods:
        by_label: dict[int, list[numpy.ndarray]] = {}
        for each in placed(space, pictures, method):
            by_label.setdefault(each.entry.label, []).append(each.feature)
        if by_label:
            yield method.title, {label: numpy.stack(rows) for label, rows in by_label.items()}


def _points(run: Run, space: FusedSpace, sets: Mapping[str, Features]) -> Iterator[dict[str, Any]]:
    """One value per set, measure and class."""
    real = _centres(sets[REAL])
    for title, by_label in sets.items():
        centres = _centres(by_label)
        for label, rows in by_label.items():
            centre = centres[label]
            values = {"dispersion": 1 - float((rows @ centre).mean())}
            others = [float(other @ centre) for key, other in centres.items() if key != label]
            if others:
                values["separation"] = 1 - max(others)
            if space.names is not None:
                values["alignment"] = float(space.names[label] @ centre)
            if title != REAL:
                values["distance"] = 1 - float(real[label] @ centre)
            name = run.class_names[label]
            for measure, value in values.items():
                yield {"set": title, "measure": measure, "class": name, "value": value}


def _centres(by_label: Features) -> dict[int, numpy.ndarray]:
    from uvlp.methods.algorithms.fusion import unit

    return {label: unit(rows.mean(axis=0)) for label, rows in by_label.items()}


def _means(points: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    gathered: dict[str, dict[str, list[float]]] = {}
    for point in points:
        gathered.setdefault(point["set"], {}).setdefault(point["measure"], []).append(point["value"])
    return {
        title: {name: sum(values) / len(values) for name, values in of_set.items()}
        for title, of_set in gathered.items()
    }


def _draw(points: list[dict[str, Any]], titles: list[str], names: list[str], width: int) -> Any:
    import altair

    wide = width > 500
    side = (width - 250) // 2 if wide else width - 115
    drawn = []
    for name in names:
        of_measure = [point for point in points if point["measure"] == name]
        y = altair.Y("set:N", sort=titles, title=None, axis=altair.Axis(domain=False, ticks=False))
        x = altair.X("value:Q", title=None, scale=altair.Scale(zero=False), axis=altair.Axis(tickCount=4))
        base = altair.Chart(charts.values(of_measure), title=altair.TitleParams(name, fontSize=12))
        dots = base.mark_circle(size=26, opacity=0.45, color=charts.PALETTE[0]).encode(
            x=x, y=y, description="class:N"
        )
        bars = base.mark_tick(thickness=3, size=18, color=charts.PALETTE[1]).encode(x="mean(value):Q", y=y)
        drawn.append(altair.layer(dots, bars).properties(width=side, height=28 * len(titles)))
    return altair.concat(*drawn, columns=2 if wide else 1, spacing=18)
