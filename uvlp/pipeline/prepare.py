"""recipe -> run: every name and number is checked against the dataset before anything is made."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cache, partial

from uvlp.artifacts.dataset import Dataset, DatasetManifest, DatasetSpec, same_names
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.captioners.texts import imported as imported_captions
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress, print_remark
from uvlp.models.published import find as pretrained
from uvlp.pipeline.contenders import Folder, resolve_method
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.folders import Collect, check_places, find_folders, joined_titles
from uvlp.pipeline.names import check_names
from uvlp.pipeline.planner import STAGES, Planner
from uvlp.recipes import limits
from uvlp.recipes.schema import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recipe that was checked against its dataset.

    Attributes:
        recipe: fully resolved.
        manifest: the dataset's classes, counts and hash.
        goal: the task at the end of the chain.
    """

    recipe: Recipe
    manifest: DatasetManifest
    goal: Task

    def tasks(self, until: str) -> list[Task]:
        """The tasks of the stages up to ``until``, in an order in which they could be made."""
        wanted = STAGES[: STAGES.index(until) + 1]
        return [task for task in chain(self.goal) if task.stage in wanted]


def prepare(recipe: Recipe, store: Store, collect: Collect | None = None) -> Run:
    """Check every name and number of the recipe before anything is made.

    Args:
        recipe: what to run.
        store: whose cache knows the dataset.
        collect: image folders to score beside the recipe's methods; they decide on the IPC.

    Raises:
        UvlpError: an unknown name, a wrong number, or a dataset or folder whose files are wrong.
    """
    if collect is not None:
        spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
        check_places(collect, store.root, spec)
    planner = _open(recipe, store)
    recipe = planner.recipe
    methods = [resolve_method(spec, recipe) for spec in recipe.methods]
    titles = ""
    folders: list[Folder] = []
    if collect is not None:
        ipc, folders = find_folders(collect, planner, store.cache, [method.title for method in methods])
        planner = replace(planner, recipe=replace(recipe, ipc=ipc))
        titles = joined_titles(folders)
    limits.check_trainings(planner.recipe, len(folders) + len(methods))
    if methods:
        check_ipc(planner.recipe, planner.manifest, "" if collect is None else "leave them out: --no-random")
    goal = planner.table([*folders, *methods], titles)
    return Run(recipe=planner.recipe, manifest=planner.manifest, goal=goal)


def prepare_teacher(recipe: Recipe, store: Store, network: str) -> Run:
    """The run that ends with the teacher ``network`` on the recipe's dataset.

    Raises:
        UvlpError: an unknown name, a wrong number, or a dataset whose files are wrong.
    """
    planner = _open(recipe, store)
    goal = planner.teacher(network)
    return Run(recipe=planner.recipe, manifest=planner.manifest, goal=goal)


def _open(recipe: Recipe, store: Store) -> Planner:
    """The planner for a recipe whose names exist and whose dataset could be opened."""
    recipe = check_names(recipe)
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    dataset = open_dataset(spec, store.cache, Progress(print_remark, "dataset"))
    known = dataset.manifest
    manifest = replace(known, caveats=(*known.caveats, *same_names(known.classes)))
    print_notes(recipe.dataset, manifest)
    imported = imported_captions.find(store.root, spec, dataset.manifest)
    if recipe.caption.captioner == "auto":
        own = "llava" if recipe.pretrained else "colours"
        captioner = own if imported is None and dataset.captions() is None else "file"
        recipe = replace(recipe, caption=replace(recipe.caption, captioner=captioner))
        unused = imported is not None and _has_own(dataset)
    else:
        unused = recipe.caption.captioner != "file" and (imported is not None or _has_own(dataset))
    if unused:
        used = "imported ones" if recipe.caption.captioner == "file" else recipe.caption.captioner
        print(f"note   {recipe.dataset}: its captions in files are not used, but {used}", file=sys.stderr)
    # Asked for by every task that reads a model.
    find = cache(partial(pretrained.find, cache=store.cache))
    return Planner(recipe=recipe, manifest=manifest, spec=spec, find=find, imported=imported)


def _has_own(dataset: Dataset) -> bool:
    """Whether the dataset brings captions, be they wrong."""
    try:
        return dataset.captions() is not None
    except UvlpError:
        return True


def check_ipc(recipe: Recipe, manifest: DatasetManifest, do: str) -> None:
    """Refuse more images per class than every class has.

    Args:
        do: what else can be done about it; empty: nothing.

    Raises:
        UvlpError: the smallest class is named.
    """
    name, count = manifest.smallest_class()
    if recipe.ipc > count:
        raise UvlpError(
            f"IPC is above the smallest class of {recipe.dataset} ({name}, {count} training images)",
            got=recipe.ipc,
            allowed=f"1 to {count}" + (" where random images stand beside it" if do else ""),
            do=do or None,
        )


def print_notes(dataset: str, manifest: DatasetManifest) -> None:
    """Print what the user should know about a dataset that was opened."""
    for line in (*manifest.notes, *manifest.caveats):
        print(f"note   {dataset}: {line}", file=sys.stderr)
