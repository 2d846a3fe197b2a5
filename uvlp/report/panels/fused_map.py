"""A two-dimensional map of the fused space with the distilled images as pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from uvlp.report import charts
from uvlp.report.blocks import Figure, Panel
from uvlp.report.fused_space import FusedSpace, Placed, placed, space_of
from uvlp.report.pictures import Pictures, as_uri, evenly
from uvlp.report.run import Run

if TYPE_CHECKING:
    import numpy

CLASSES = 10
POINTS = 700
"""Training images on the map."""
IMAGES = 100
"""Pictures of each method."""
SIDE_PX = 18
MAP_PX = 540


def panel(run: Run, pictures: Pictures) -> Panel:
    """Return the section with one map per method, all with the same training images."""
    result = Panel(id="map", title="Fused space", lead="")
    space = space_of(run)
    if space is None or not pictures.rows_of_class:
        result.left_out.append("No CLIP features of this run are in the store.")
        return result
    labels = evenly(len(run.class_names), CLASSES)
    by_method = {}
    for method in run.methods:
        every = [each for each in placed(space, pictures, method) if each.entry.label in labels]
        if every:
            by_method[method.name] = [every[index] for index in evenly(len(every), IMAGES)]
        elif pictures.entries(method) and any(each.file_name for each in pictures.entries(method)):
            result.left_out.append(f"{method.title}: its images have no position in this space.")
    per_class = max(1, POINTS // len(labels))
    rows = {
        label: [pictures.rows_of_class[label][at] for at in evenly(_size(pictures, label), per_class)]
        for label in labels
    }
    how, real, drawn = _embed(space, rows, by_method)
    shown = sum(map(len, rows.values()))
    result.lead = (
        f"{how} of fused CLIP features ({space.origin}). Dots are {shown} training images, pictures are "
        "distilled images where the mean of what they were made from lies. Distances between clusters mean "
        "little; neighbourhoods do."
    )
    if len(labels) < len(run.class_names):
        result.left_out.append(f"The map shows {len(labels)} of {len(run.class_names)} classes.")
    points = [{"class": run.class_names[label], "x": float(x), "y": float(y)} for label, (x, y) in real]
    for method in (each for each in run.methods if each.name in drawn):
        cells = [
            {
                "x": float(x),
                "y": float(y),
                "class": one.entry.class_name,
                "uri": as_uri(pictures.image(method, one.entry), SIDE_PX),
                "label": f"{one.entry.class_name}: {one.entry.text or one.entry.source}",
            }
            for one, (x, y) in zip(by_method[method.name], drawn[method.name], strict=True)
        ]
        result.blocks.append(
            Figure(
                name="map",
                title=method.title,
                text=f"{how} map of {shown} training images with {len(cells)} images of {method.title}",
                draw=partial(_draw, points, cells),
                widths=(MAP_PX,),
            )
        )
    return result


def _size(pictures: Pictures, label: int) -> int:
    return len(pictures.rows_of_class[label])


def _embed(
    space: FusedSpace, rows: dict[int, list[int]], by_method: dict[str, list[Placed]]
) -> tuple[str, list[tuple[int, numpy.ndarray]], dict[str, numpy.ndarray]]:
    """Positions [n, 2] of the training images with their labels, and of each method's images."""
    import numpy

    labels = [label for label, of_class in rows.items() for _ in of_class]
    parts = [space.at([row for of_class in rows.values() for row in of_class])]
    parts += [numpy.stack([one.feature for one in every]) for every in by_method.values()]
    how, flat = _reduce(numpy.concatenate(parts))
    ends = numpy.cumsum([len(part) for part in parts])[:-1]
    real, *others = numpy.split(flat, ends)
    return how, list(zip(labels, real, strict=True)), dict(zip(by_method, others, strict=True))


def _reduce(features: numpy.ndarray) -> tuple[str, numpy.ndarray]:
    """Two coordinates [n, 2] by UMAP where it is installed, else by t-SNE, and which of them."""
    neighbours = max(2, min(30, (len(features) - 1) // 3))
    try:
        from umap import UMAP
    except ImportError:
        from sklearn.manifold import TSNE

        tsne = TSNE(perplexity=neighbours, init="random", metric="cosine", random_state=0, max_iter=500)
        return "t-SNE", tsne.fit_transform(features)
    # With a seed it runs on one core; asking for that avoids its warning.
    umap = UMAP(n_neighbors=neighbours, metric="cosine", random_state=0, n_jobs=1)
    return "UMAP", umap.fit_transform(features)


def _draw(points: list[dict[str, Any]], cells: list[dict[str, Any]], width: int) -> Any:
    import altair

    classes = list(dict.fromkeys(point["class"] for point in points))
    x = altair.X("x:Q", axis=None, scale=altair.Scale(zero=False, nice=False))
    y = altair.Y("y:Q", axis=None, scale=altair.Scale(zero=False, nice=False))
    legend = altair.Legend(columns=5, symbolSize=60, symbolOpacity=1)
    dots = altair.Chart(charts.values(points)).mark_circle(size=16, opacity=0.55, aria=False)
    pictures = altair.Chart(charts.values(cells))
    frames = pictures.mark_square(size=(SIDE_PX + 3) ** 2, opacity=1, aria=False)
    images = pictures.mark_image(width=SIDE_PX, height=SIDE_PX)
    colour = altair.Color("class:N", scale=charts.colours(classes), title=None, legend=legend)
    return altair.layer(
        dots.encode(x=x, y=y, color=colour),
        frames.encode(x=x, y=y, color=colour),
        images.encode(x=x, y=y, url="uri:N", description="label:N"),
    ).properties(width=width - 12, height=width - 12)
