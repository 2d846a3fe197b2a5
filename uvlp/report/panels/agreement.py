"""Accuracy by class, and the validation images on which methods disagree most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from uvlp.report import charts
from uvlp.report.blocks import Card, Figure, Gallery, Panel, Picture, Shelf
from uvlp.report.pictures import Pictures, as_uri
from uvlp.report.run import Method, Run
from uvlp.tables import published

if TYPE_CHECKING:
    import numpy

CLASSES = 30
IMAGES = 24


def panel(run: Run, pictures: Pictures) -> Panel:
    """Return the section, with the first network of the run."""
    shown = published.title(run.table.networks[0])
    result = Panel(
        id="agreement",
        title="By class",
        lead="Accuracy by class, and where methods disagree. From the stored result for every validation "
        f"image, {shown}, best pass, all trainings.",
    )
    labels = pictures.validation_labels()
    methods = [method for method in run.methods if method.trainings[0]]
    if labels is None or not methods:
        result.left_out.append("The validation labels or the scores of this run are not in the store.")
        return result
    shares = {method.title: _shares(method) for method in methods}
    if {len(share) for share in shares.values()} != {len(labels)}:
        result.left_out.append("The scores are for other validation images than those of the dataset.")
        return result
    result.blocks.append(_by_class(run, labels, shares, result))
    if len(methods) > 1:
        result.blocks.append(_disagreements(run, pictures, labels, shares, methods))
    return result


def _shares(method: Method) -> numpy.ndarray:
    """Share of the trainings that classify each validation image correctly, float [N]."""
    import numpy

    rows = []
    for score in method.trainings[0].values():
        bits = numpy.unpackbits(numpy.frombuffer(bytes.fromhex(score.correct_best), dtype=numpy.uint8))
        rows.append(bits[: score.validation_images].astype(float))
    return numpy.mean(rows, axis=0)


def _by_class(run: Run, labels: Sequence[int], shares: dict[str, numpy.ndarray], result: Panel) -> Figure:
    import numpy

    of_image = numpy.asarray(labels)
    pct = {
        label: {title: 100 * float(share[of_image == label].mean()) for title, share in shares.items()}
        for label in sorted(set(labels))
    }
    chosen = list(pct)
    if len(pct) > CLASSES:
        spread = sorted(pct, key=lambda label: min(pct[label].values()) - max(pct[label].values()))
        chosen = sorted(spread[:CLASSES])
        result.left_out.append(
            f"By class: the {CLASSES} of {len(pct)} classes on which methods differ most are shown."
        )
    cells: list[dict[str, Any]] = [
        {
            "class": f"{run.class_names[label]}",
            "method": title,
            "pct": value,
            "label": f"{title}, {run.class_names[label]}: {value:.1f} %",
        }
        for label in chosen
        for title, value in pct[label].items()
    ]
    worst = min(cells, key=lambda cell: cell["pct"])
    return Figure(
        name="classes",
        title="Accuracy by class, %",
        text=f"Accuracy by class and method; the lowest is {worst['label']}",
        draw=partial(_draw, cells, list(shares), [run.class_names[label] for label in chosen]),
    )


def _disagreements(
    run: Run,
    pictures: Pictures,
    labels: Sequence[int],
    shares: dict[str, numpy.ndarray],
    methods: Sequence[Method],
) -> Gallery:
    """The images whose shares differ most between methods."""
    import numpy

    spread = numpy.stack(list(shares.values())).std(axis=0)
    order = [int(index) for index in (-spread).argsort(kind="stable")[:IMAGES] if spread[index] > 0]
    images = pictures.validation(order) or []
    trainings = {method.title: len(method.trainings[0]) for method in methods}
    cards = []
    for index, image in zip(order, images, strict=True):
        name = run.class_names[labels[index]]
        counts = [
            f"{title}: {round(float(share[index]) * trainings[title])} of {trainings[title]}"
            for title, share in shares.items()
        ]
        picture = Picture(uri=as_uri(image, webp=True), label=name, text=f"validation image {index}, {name}")
        cards.append(Card(pictures=[picture], lines=counts))
    title = f"The {len(cards)} images on which methods disagree most: trainings that are right"
    return Gallery(shelves=[Shelf(title=title, cards=cards, opened=True)])


def _draw(cells: list[dict[str, Any]], methods: list[str], classes: list[str], width: int) -> Any:
    import altair

    base = altair.Chart(charts.values(cells)).encode(
        x=altair.X(
            "method:N", sort=methods, title=None,
            axis=altair.Axis(orient="top", labelAngle=0 if width > 500 else -45, domain=False, ticks=False),
        ),
        y=altair.Y("class:N", sort=classes, title=None, axis=altair.Axis(domain=False, ticks=False)),
    )  # fmt: skip
    scale = altair.Scale(scheme="blues")
    middle = (min(cell["pct"] for cell in cells) + max(cell["pct"] for cell in cells)) / 2
    text = altair.condition(f"datum.pct > {middle}", altair.value("white"), altair.value("#101318"))
    return altair.layer(
        base.mark_rect(stroke="transparent", strokeWidth=2).encode(
            color=altair.Color("pct:Q", scale=scale, legend=None), description="label:N"
        ),
        base.mark_text(fontSize=11, aria=False).encode(text=altair.Text("pct:Q", format=".1f"), color=text),
    ).properties(width=width - 110, height=24 * len(classes))
