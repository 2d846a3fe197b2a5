"""What a run will make, planned while its dataset or its models are not here.

Before gigabytes are fetched for it, and for a dry run that fetches none: what is certain to fail without them
fails with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.captioners.texts import imported as imported_captions
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress, print_remark
from uvlp.declarations.dataset import declared_dataset
from uvlp.models.published.find import Found
from uvlp.pipeline.contenders import resolve_method
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.estimates.sizes import lookup, stand_in
from uvlp.pipeline.names import check_names
from uvlp.pipeline.planner import STAGES, Planner
from uvlp.pipeline.preflight import Ground
from uvlp.pipeline.prepare import check_ipc
from uvlp.recipes.schema import Recipe

Goal = Callable[[Planner], Task]
"""What a command makes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A run without its models.

    Attributes:
        planner: of the recipe; its manifest is a stand-in where the dataset is not here.
        ground: what its tasks are judged by.
        absent: why the dataset cannot be opened; empty where it is here.
    """

    planner: Planner
    ground: Ground
    absent: str

    @property
    def manifest(self) -> DatasetManifest | None:
        """The dataset's, where it is here."""
        return None if self.absent else self.planner.manifest

    def tasks(self, goal: Goal, until: str) -> list[Task]:
        """The tasks of the stages up to ``until``; where they read published models, under other keys."""
        wanted = STAGES[: STAGES.index(until) + 1]
        return [task for task in chain(goal(self.planner)) if task.stage in wanted]


def expect(recipe: Recipe, store: Store) -> Expected:
    """Plan a recipe on the dataset that is here, or on a stand-in of a named one.

    Raises:
        UvlpError: an unknown name, a folder that cannot be opened, or more images per class than it has.
    """
    recipe = check_names(recipe)
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    try:
        dataset = open_dataset(spec, store.cache, Progress(print_remark, "dataset"))
    except UvlpError as error:
        if declared_dataset(spec.name).variants is None:
            raise
        return _expected(plan(recipe), store, str(error))
    imported = imported_captions.find(store.root, spec, dataset.manifest)
    if recipe.caption.captioner == "auto" and (imported or dataset.captions() is not None):
        recipe = replace(recipe, caption=replace(recipe.caption, captioner="file"))
    if recipe.methods:
        check_ipc(recipe, dataset.manifest, "")
    return _expected(plan(recipe, dataset.manifest, imported), store, "")


def _expected(planner: Planner, store: Store, absent: str) -> Expected:
    ground = Ground(
        recipe=planner.recipe,
        manifest=planner.manifest,
        cache=store.cache,
        dataset_here=not absent,
        models_here=False,
    )
    return Expected(planner=planner, ground=ground, absent=absent)


def plan(recipe: Recipe, manifest: DatasetManifest | None = None, imported: Path | None = None) -> Planner:
    """The planner of a recipe whose models are not here.

    Args:
        recipe: whose names exist; without captions in files where its captioner is ``auto``.
        manifest: the dataset's; without it a stand-in with the known counts of a named dataset.
        imported: captions that were taken over for it.

    Raises:
        UvlpError: the dataset is a folder without its manifest.
    """
    if recipe.caption.captioner == "auto":
        captioner = "llava" if recipe.pretrained else "colours"
        recipe = replace(recipe, caption=replace(recipe.caption, captioner=captioner))
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    return Planner(
        recipe=recipe,
        manifest=manifest or stand_in(spec, lookup(recipe)),
        spec=spec,
        find=lambda models, part: Found(place=part, sha256=part, source=part, revision=""),
        imported=imported,
    )


def table(planner: Planner) -> Task:
    """The table of a recipe's methods, the goal of a whole run."""
    recipe = planner.recipe
    return planner.table([resolve_method(spec, recipe) for spec in recipe.methods])


def named_tasks(recipe: Recipe) -> list[Task]:
    """All tasks of a recipe on a named dataset, which need not be here.

    Raises:
        UvlpError: an unknown name; or the dataset is a folder, whose size is only known when it is opened.
    """
    return list(chain(table(plan(check_names(recipe)))))
