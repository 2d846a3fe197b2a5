"""The recipe and the image folders of a request that scores images: `uvlp evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.exchange import baseline_imports, hub_fetch
from uvlp.pipeline import names
from uvlp.pipeline.folders.collect import Collect, seeds_of
from uvlp.pipeline.folders.published import PublishedSet
from uvlp.pipeline.folders.rows import Row, parse_rows
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.reading import parse
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import Recipe


def scored(
    request: Request, store: Store, *, fetch: bool, offline: bool, rows: Sequence[Row] | None = None
) -> tuple[Recipe, Collect]:
    """Return the recipe and the folders of a request with images.

    Args:
        request: its images are the rows; random ones are scored beside them if it says so.
        store: with the images of baselines that were imported.
        fetch: whether published sets are looked up, and fetched unless ``offline``.
        rows: the rows, if they are not to be read from the request's images.

    Raises:
        UvlpError: a wrong name or number, which is reported before anything is fetched; see `hub_fetch`.
    """
    recipe = resolve(replace(request, methods=("random",)))
    reading = parse(request.layout, request.normalised, request.label_kind, request.temperature)
    if rows is None:
        spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
        rows = baseline_imports.resolve(parse_rows(request.images), store.root, spec, request.ipc)
    seeds = seeds_of(rows, recipe.seeds if request.seeds is not None else None)
    methods = ("random",) if request.random_images else ()
    recipe = replace(recipe, seeds=seeds or recipe.seeds, methods=methods)
    published: dict[str, PublishedSet] = {}
    if fetch:
        names.check(recipe)
        rows, published = hub_fetch.fetch_rows(rows, offline=offline)
    return recipe, Collect(
        rows=tuple(rows),
        ipc=request.ipc,
        select=request.select,
        published=published,
        reading=reading,
    )
