"""recipe -> plan: the one plan that a run, a dry run and a fetch read, before anything is made or fetched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetElsewhere, DatasetManifest, DatasetSpec, same_names
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.captioners.texts import imported
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress, print_message
from uvlp.models.published import find
from uvlp.models.published.find import Found
from uvlp.pipeline import names
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.estimates import sizes
from uvlp.pipeline.folders.collect import Collect, check_places, find_folders, joined_titles
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning.contenders import Folder, Method
from uvlp.pipeline.planning.planner import STAGES, Planner
from uvlp.pipeline.transfers import Transfer, dataset_missing, is_here, latent_sides, models_missing
from uvlp.recipes import limits
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.schema import ModelSettings, Recipe

SCORING = STAGES[STAGES.index("teacher") :]
"""Stages that train or read networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked recipe, and the tasks that make what was asked for.

    Attributes:
        recipe: fully resolved.
        dataset: opened; None where it is not here.
        manifest: the dataset's classes, counts and hash; a stand-in where it is not here.
        size: of the dataset; None where nobody knows it.
        goal: the task at the end of the chain. Its keys hold only where nothing is missing.
        until: the last stage that is asked for.
        transfers: what has to be fetched before anything can be made.
        absent: why the dataset cannot be opened; None where it can.
    """

    recipe: Recipe
    dataset: Dataset | None
    manifest: DatasetManifest
    size: DatasetSize | None
    goal: Task
    until: str
    transfers: tuple[Transfer, ...] = ()
    absent: UvlpError | None = None

    @property
    def complete(self) -> bool:
        """Whether all that decides about the keys of the tasks is here."""
        return self.dataset is not None and not self.transfers

    @property
    def tasks(self) -> list[Task]:
        """The tasks that are asked for, in an order in which they could be made."""
        wanted = STAGES[: STAGES.index(self.until) + 1]
        return [task for task in chain(self.goal) if task.stage in wanted]


def prepare(
    checked: Checked,
    store: Store,
    until: str,
    collect: Collect | None = None,
    opened: Dataset | None = None,
) -> Plan:
    """Look at what is here of the dataset and the published models, and plan with it.

    What the user should know about the dataset is printed when it is opened.

    Args:
        checked: what to run.
        store: whose cache knows the dataset, and that holds imported captions.
        until: the last stage that is asked for; `teacher`: the teacher of the first network alone.
        collect: image folders to score beside the recipe's methods; they decide on the IPC. They are left
            out of the plan where the dataset, whose classes they have, is not here.
        opened: the dataset, where an earlier call opened it.

    Raises:
        UvlpError: a wrong number, a dataset or folder whose files are wrong, or a dataset that is not here
            and of which nobody knows more.
    """
    recipe, spec = checked.recipe, checked.spec
    methods = () if until == "teacher" else checked.methods
    if collect is not None:
        check_places(collect, store.root, spec)
    if until in SCORING:
        names.check_networks(recipe)
    if recipe.pretrained and recipe.models.finetuned:
        find.check_finetuned(Path(recipe.models.finetuned))
    transfers = dataset_missing(spec)
    found = _look(recipe, spec, store, opened, fetchable=bool(transfers))
    planner = found.planner
    transfers += _models_missing(planner, methods)
    complete = found.dataset is not None and not transfers
    if complete:
        planner = replace(planner, find=_finder(recipe.models, store))
    folders: list[Folder] = []
    if collect is not None and found.dataset is not None:
        ipc, folders = find_folders(collect, planner, store.cache, [method.title for method in methods])
        planner = replace(planner, recipe=replace(planner.recipe, ipc=ipc))
    limits.check_trainings(planner.recipe, len(folders) + len(methods))
    if methods and found.dataset is not None:
        _check_ipc(planner, "" if collect is None else "leave them out: --no-random")
    return Plan(
        recipe=planner.recipe,
        dataset=found.dataset,
        manifest=planner.manifest,
        size=found.size,
        goal=_goal(planner, methods, folders, until),
        until=until,
        transfers=tuple(transfers),
        absent=found.absent,
    )


def outline(checked: Checked) -> Plan:
    """What a run would make on a machine that has nothing yet: its keys mean nothing."""
    planner, size = _without_dataset(checked.recipe, checked.spec)
    return Plan(
        recipe=planner.recipe,
        dataset=None,
        manifest=planner.manifest,
        size=size,
        goal=planner.table(checked.methods),
        until="tabulate",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is here of a dataset: see `Plan`; the planner takes every published model to be missing."""

    planner: Planner
    dataset: Dataset | None
    size: DatasetSize | None
    absent: UvlpError | None


def _look(
    recipe: Recipe, spec: DatasetSpec, store: Store, opened: Dataset | None, *, fetchable: bool
) -> _Found:
    """Open the dataset, which may be missing where it is fetched or its size is known."""
    try:
        dataset = opened or open_dataset(spec, store.cache, Progress(print_message, "dataset"))
    except UvlpError as error:
        planner, size = _without_dataset(recipe, spec)
        missing = fetchable or (size is not None and not is_here(spec))
        if isinstance(error, DatasetElsewhere) or spec.argument or not missing:
            raise
        return _Found(planner=planner, dataset=None, size=size, absent=error)
    caveats = (*dataset.manifest.caveats, *same_names(dataset.manifest.classes))
    manifest = replace(dataset.manifest, caveats=caveats)
    if opened is None:
        print_notes(recipe.dataset, manifest)
    imported_file = imported.find(store.root, spec, dataset.manifest)
    captioner, unused = _captioner(recipe, dataset, imported_file)
    if unused and opened is None:
        print(f"note   {recipe.dataset}: {unused}", file=sys.stderr)
    planner = Planner(
        recipe=_captioned_by(recipe, captioner),
        manifest=manifest,
        spec=spec,
        find=_stand_in,
        imported=imported_file,
    )
    return _Found(planner=planner, dataset=dataset, size=sizes.of_manifest(manifest), absent=None)


def print_notes(dataset: str, manifest: DatasetManifest) -> None:
    """Print what the user should know about a dataset that was opened."""
    for line in (*manifest.notes, *manifest.caveats):
        print(f"note   {dataset}: {line}", file=sys.stderr)


def _without_dataset(recipe: Recipe, spec: DatasetSpec) -> tuple[Planner, DatasetSize | None]:
    """A planner with a stand-in of the dataset's known size. It brings no captions as far as is known."""
    size = sizes.lookup(recipe)
    captioner, _ = _captioner(recipe, None, None)
    planner = Planner(
        recipe=_captioned_by(recipe, captioner),
        manifest=sizes.stand_in(spec, size),
        spec=spec,
        find=_stand_in,
    )
    return planner, size


def _captioner(recipe: Recipe, dataset: Dataset | None, imported_file: Path | None) -> tuple[str, str]:
    """The captioner, where `auto` was asked for the one that it means, and a note on captions left unused.

    Raises:
        UvlpError: the dataset's own captions, which would be used, are wrong.
    """
    asked = recipe.caption.captioner
    model = "llava" if recipe.pretrained else "colours"
    if dataset is None or asked == "file":
        return model if asked == "auto" else asked, ""
    if asked == "auto" and imported_file is None:
        return model if dataset.captions() is None else "file", ""
    used = "imported ones" if asked == "auto" else asked
    unused = _has_own(dataset) or (asked != "auto" and imported_file is not None)
    note = f"its captions in files are not used, but {used}" if unused else ""
    return "file" if asked == "auto" else asked, note


def _has_own(dataset: Dataset) -> bool:
    """Whether the dataset brings captions, be they wrong."""
    try:
        return dataset.captions() is not None
    except UvlpError:
        return True


def _captioned_by(recipe: Recipe, captioner: str) -> Recipe:
    return replace(recipe, caption=replace(recipe.caption, captioner=captioner))


def _stand_in(part: str) -> Found:
    """A published model that is not here, or not looked for yet: it lies at the name of its part."""
    return Found(place=part, sha256=part, source=part, revision="")


def _models_missing(planner: Planner, methods: Sequence[Method]) -> list[Transfer]:
    """What is missing of the models that the images of these methods rest on; seeds make no difference."""
    seed = planner.recipe.seeds[0]
    tasks = [task for method in methods for task in chain(planner.distilled(method, seed))]
    read = {place for task in tasks for place in task.origins.values()}
    parts = [part for part in find.PARTS if part in read]
    sides = {setting: side_px for task in tasks for _, setting, side_px in latent_sides(task)}
    return models_missing(planner.recipe.models, parts, sides)


def _finder(models: ModelSettings, store: Store) -> Callable[[str], Found]:
    """Where the published models lie; each is looked for once."""

    @cache
    def look_up(part: str) -> Found:
        if part == "finetuned":
            return find.find(find.finetuned(models), "diffusion", store.cache)
        return find.find(models, part, store.cache)

    return look_up


def _goal(planner: Planner, methods: Sequence[Method], folders: Sequence[Folder], until: str) -> Task:
    if until == "teacher":
        return planner.teacher(planner.recipe.networks[0])
    return planner.table([*folders, *methods], joined_titles(folders))


def _check_ipc(planner: Planner, fix: str) -> None:
    """Refuse more images per class than every class has; ``do`` is what else can be done about it."""
    recipe = planner.recipe
    name, count = planner.manifest.smallest_class()
    if recipe.ipc > count:
        raise UvlpError(
            f"IPC is above the smallest class of {recipe.dataset} ({name}, {count} training images)",
            got=recipe.ipc,
            allowed=f"1 to {count}" + (" where random images stand beside it" if fix else ""),
            fix=fix or None,
        )
