"""What a run reads: the dataset, captions, published models and a teacher's checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from uvlp.models.published import find
from uvlp.models.published.source import source_of
from uvlp.pipeline.prepare import Plan
from uvlp.recipes.schema import Recipe


def reads(plan: Plan, recipe: Recipe) -> dict[str, str]:
    """Return what the run reads by kind, one line each; nothing is opened.

    Args:
        plan: of the run on a machine that has nothing yet.
        recipe: before `auto` captions were resolved.

    Raises:
        UvlpError: a setting names no repository and no folder for a model.
    """
    return dict(_lines(plan, recipe))


def _lines(plan: Plan, recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "dataset", _dataset(plan)
    captioners = {task.plugin for task in plan.tasks if task.stage == "caption"}
    for captioner in captioners:
        yield "captions", _captions(captioner, auto=recipe.caption.captioner == "auto")
    used = {origin for task in plan.tasks for origin in task.origins.values()}
    used -= {"autoencoder"} if "diffusion" in used else set()  # a part of it
    for part in (*find.PARTS, "finetuned"):
        if part in used:
            yield part, _model(plan.recipe, part)
    if any(task.stage == "teacher" for task in plan.tasks) and plan.recipe.teacher.source != "trained":
        yield "teacher", plan.recipe.teacher.source


def _dataset(plan: Plan) -> str:
    size = plan.size
    if size is None:
        return f"{plan.recipe.dataset}, whose size is known when it is opened"
    about = "" if size.exact else "about "
    counts = f"{about}{size.train:,} training and {size.val:,} test images in {size.classes:,} classes"
    return f"{plan.recipe.dataset} {plan.recipe.variant}".strip() + f": {counts} ({size.source})"


def _captions(captioner: str, *, auto: bool) -> str:
    if captioner == "file":
        return "imported ones, or those of the dataset"
    first = "imported ones or those of the dataset if there are any, else " if auto else ""
    return f"{first}by {captioner}"


def _model(recipe: Recipe, part: str) -> str:
    """Return title, repository and revision of a published model, or its folder."""
    models = find.finetuned(recipe.models) if part == "finetuned" else recipe.models
    source = source_of(models, "diffusion" if part == "finetuned" else part)
    if source.folder is not None:
        return f"{source.layout.title}: {source.folder}"
    revision = source.revision or "the newest at the first download"
    return f"{source.layout.title}: {source.repository}, revision {revision}"
