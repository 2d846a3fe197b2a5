"""Components and objective of the search for α over all classes, and every α that was found."""

from __future__ import annotations

from functools import partial
from typing import Any

from uvlp.report import charts
from uvlp.report.blocks import Figure, Panel
from uvlp.report.pictures import Pictures, evenly
from uvlp.report.run import Method, Run, described

LOW, HIGH = 0.2, 0.8
"""Interval of the search, from which the objective takes its weights (methods.md A.5)."""
STEPS = 41
IMAGES = 20_000
"""Training images; of a larger set fewer of each class are used."""
TITLES = {
    "inter": "separation of classes (higher is better)",
    "intra": "spread within classes (lower is better)",
    "align": "alignment with the class name (higher is better)",
    "objective": "objective J",
}
LEVELS = ("class_alpha", "cluster_alpha")


def panel(run: Run, pictures: Pictures) -> Panel:
    """Return the section; without figures if no method of the run searched for α."""
    result = Panel(
        id="alpha",
        title="Fisher objective",
        lead="Components and objective of the search against α, which weighs the image (1) against its "
        "caption (0). The curves are computed again from the stored features; the search looked at 0.2 to "
        "0.8. The vertical line is the global α that was chosen, after a local step to the smallest spread. "
        "Ticks are the α of classes and clusters.",
    )
    searched = [method for method in run.methods if _global_alpha(method) is not None]
    if not searched:
        result.left_out.append("No method of this run searched for α.")
        return result
    if not {"image", "text", "names"} <= set(run.arrays) or not pictures.rows_of_class:
        result.left_out.append("The features of this run are no longer in the store.")
        return result
    for method in searched:
        if method.prototypes is None or method.prototypes.manifest["settings"].get("text") != "caption":
            result.left_out.append(f"{method.title}: its texts are class names, of which there is no curve.")
            continue
        curves = _curves(run, pictures, result)
        chosen = _global_alpha(method)
        assert chosen is not None
        found = [
            {"alpha": round(float(each.details[level]), 4), "level": level.removesuffix("_alpha")}
            for each in described(method)
            for level in LEVELS
            if level in each.details
        ]
        unique = [dict(pair) for pair in {tuple(each.items()): each for each in found}]
        best = max((each for each in curves if each["what"] == "objective"), key=lambda each: each["value"])
        result.blocks.append(
            Figure(
                name="fisher",
                title=f"{method.title}: global α {chosen:.2f}",
                text="Separation, spread, alignment and objective against alpha. The objective is highest at "
                f"{best['alpha']:.2f}; the global alpha of {method.title} is {chosen:.2f}",
                draw=partial(_draw, curves, unique, chosen),
            )
        )
    return result


def _global_alpha(method: Method) -> float | None:
    """The global α that a method searched for; None if it did not."""
    if method.prototypes is None or method.prototypes.manifest["settings"].get("search") != "notebook":
        return None
    found = (each.details.get("global_alpha") for each in described(method))
    return next((float(alpha) for alpha in found if alpha is not None), None)


def _curves(run: Run, pictures: Pictures, result: Panel) -> list[dict[str, Any]]:
    """The components and J at `STEPS` values of α from 0 to 1."""
    import numpy

    from uvlp.methods.algorithms.alpha.global_alpha import (
        BASE_WEIGHTS,
        fisher_objective,
        split_classes,
        statistics,
    )

    most = max(2, IMAGES // len(pictures.rows_of_class))
    rows, sizes = [], []
    for of_class in pictures.rows_of_class:
        chosen = [of_class[index] for index in evenly(len(of_class), most)]
        rows += chosen
        sizes.append(len(chosen))
    total = sum(map(len, pictures.rows_of_class))
    if len(rows) < total and not result.left_out:
        result.left_out.append(f"The curves are computed from {len(rows)} of {total} training images.")
    names = numpy.asarray(run.arrays["names"], dtype=numpy.float32)
    classes = split_classes(run.arrays["image"][rows], run.arrays["text"][rows], sizes)
    objective = fisher_objective(classes, names, LOW, HIGH, BASE_WEIGHTS, "notebook")
    alphas = [step / (STEPS - 1) for step in range(STEPS)]
    points = []
    for alpha, values in zip(alphas, statistics(classes, names, alphas), strict=True):
        here = {name: getattr(values, name) for name in ("inter", "intra", "align")}
        here["objective"] = objective.of(values)
        points += [{"alpha": alpha, "what": name, "value": float(value)} for name, value in here.items()]
    return [point for point in points if point["value"] == point["value"]]


def _draw(curves: list[dict[str, Any]], found: list[dict[str, Any]], chosen: float, width: int) -> Any:
    import altair

    wide = width > 500
    side = (width - 150) // 2 if wide else width - 75
    scale = altair.Scale(domain=[0, 1])
    limits = altair.Chart(charts.values([{"low": LOW, "high": HIGH}])).mark_rect(
        color=charts.FAINT, opacity=0.12
    )
    rule = altair.Chart(charts.values([{"alpha": chosen}])).mark_rule(color=charts.PALETTE[1], strokeWidth=2)
    drawn = []
    for name, title in TITLES.items():
        points = [point for point in curves if point["what"] == name]
        if not points:
            continue
        line = altair.Chart(charts.values(points), title=altair.TitleParams(title, fontSize=12)).mark_line(
            strokeWidth=2.2, color=charts.PALETTE[0 if name != "objective" else 4]
        )
        x = altair.X("alpha:Q", scale=scale, title="α")
        y = altair.Y("value:Q", title=None, scale=altair.Scale(zero=False), axis=altair.Axis(tickCount=5))
        layers = [limits.encode(x=altair.X("low:Q", scale=scale), x2="high:Q"), line.encode(x=x, y=y)]
        layers.append(rule.encode(x="alpha:Q"))
        drawn.append(altair.layer(*layers).properties(width=side, height=120))
    ticks = altair.Chart(charts.values(found), title=altair.TitleParams("α that was found", fontSize=12))
    strip = ticks.mark_tick(thickness=1.4, opacity=0.7, size=22, color=charts.PALETTE[2]).encode(
        x=altair.X("alpha:Q", scale=scale, title="α"),
        y=altair.Y("level:N", sort=["class", "cluster"], title=None),
    )
    drawn.append(strip.properties(width=side, height=60))
    return altair.concat(*drawn, columns=2 if wide else 1, spacing=18)
