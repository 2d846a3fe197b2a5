"""Planning of a recipe: the plan that a run, a dry run and a fetch use, before any work or download."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import Dataset, DatasetElsewhere, DatasetManifest, DatasetSpec, same_names
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.captioners.texts import imported
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress, print_message
from uvlp.models.published import find
from uvlp.models.published.find import LocalModel
from uvlp.pipeline import names
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.downloads.transfers import Transfer, dataset_missing, is_here, latent_sides, models_missing
from uvlp.pipeline.estimates import sizes
from uvlp.pipeline.folders.collect import Collect, check_folders, find_folders, joined_titles
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning.contenders import Folder, Method
from uvlp.pipeline.planning.planner import STAGES, Planner
from uvlp.recipes import limits
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.schema import ModelSettings, Recipe

SCORING = STAGES[STAGES.index("teacher") :]
"""Stages that train or use test networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked recipe, and the tasks that make the requested artifacts.

    Attributes:
        recipe: fully resolved.
        dataset: the opened dataset; None if it is missing.
        manifest: classes, counts and hash of the dataset; a placeholder if it is missing.
        size: size of the dataset; None if unknown.
        goal: the last task of the chain. Keys are valid only if nothing is missing.
        until: the last requested stage.
        transfers: downloads that are needed before the run.
        absent: why the dataset cannot be opened; None if it can.
        config: the config of the run (`requests/content.py`), for the manifests of what it makes.
    """

    recipe: Recipe
    dataset: Dataset | None
    manifest: DatasetManifest
    size: DatasetSize | None
    goal: Task
    until: str
    transfers: tuple[Transfer, ...] = ()
    absent: UvlpError | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything that determines the keys of the tasks is present."""
        return self.dataset is not None and not self.transfers

    @property
    def tasks(self) -> list[Task]:
        """The requested tasks and their inputs, inputs first."""
        wanted = STAGES[: STAGES.index(self.until) + 1]
        every = list(chain(self.goal))
        needed: set[str] = set()
        for task in reversed(every):
            if task.stage in wanted or task.key in needed:
                needed |= {task.key, *(earlier.key for earlier in task.inputs.values())}
        return [task for task in every if task.key in needed]


def prepare(
    checked: Checked,
    store: Store,
    until: str,
    collect: Collect | None = None,
    opened: Dataset | None = None,
) -> Plan:
    """Check which parts of the dataset and the published models are present, and make a plan.

    Notes about the dataset are printed when it is opened.

    Args:
        checked: the checked recipe.
        store: the store, with its cache and imported captions.
        until: the last requested stage; `teacher`: only the teacher of the first network.
        collect: image folders to score beside the recipe's methods; they determine the IPC. They are left
            out of the plan if the dataset with their classes is missing.
        opened: the dataset, if an earlier call opened it.

    Raises:
        UvlpError: a number out of range, a dataset or folder with invalid files, or a missing dataset of
            unknown size.
    """
    recipe, spec = checked.recipe, checked.spec
    methods = () if until == "teacher" else checked.methods
    if collect is not None:
        check_folders(collect, store.root, spec)
    if until in SCORING:
        names.check_networks(recipe)
    if recipe.pretrained and recipe.models.finetuned:
        find.check_finetuned(Path(recipe.models.finetuned))
    transfers = dataset_missing(spec)
    state = _open(recipe, spec, store, opened, fetchable=bool(transfers))
    planner = state.planner
    transfers += _models_missing(planner, methods)
    complete = state.dataset is not None and not transfers
    if complete:
        planner = replace(planner, find=_finder(recipe.models, store))
    folders: list[Folder] = []
    if collect is not None and state.dataset is not None:
        ipc, folders = find_folders(collect, planner, store.cache, [method.title for method in methods])
        planner = replace(planner, recipe=replace(planner.recipe, ipc=ipc))
    limits.check_trainings(planner.recipe, len(folders) + len(methods))
    if methods and state.dataset is not None:
        _check_ipc(planner, "" if collect is None else "disable random images: --no-random")
    return Plan(
        recipe=planner.recipe,
        dataset=state.dataset,
        manifest=planner.manifest,
        size=state.size,
        goal=_goal(planner, checked, folders, until),
        until=until,
        transfers=tuple(transfers),
        absent=state.absent,
    )


def outline(checked: Checked, until: str = "tabulate") -> Plan:
    """Return the plan of a run on a new machine up to a stage; its keys are placeholders."""
    planner, size = _without_dataset(checked.recipe, checked.spec)
    return Plan(
        recipe=planner.recipe,
        dataset=None,
        manifest=planner.manifest,
        size=size,
        goal=_goal(planner, checked, (), until),
        until=until,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _DatasetState:
    """State of a dataset, see `Plan`; the planner assumes that published models are missing."""

    planner: Planner
    dataset: Dataset | None
    size: DatasetSize | None
    absent: UvlpError | None


def _open(
    recipe: Recipe, spec: DatasetSpec, store: Store, opened: Dataset | None, *, fetchable: bool
) -> _DatasetState:
    """Open the dataset, which may be missing if it can be downloaded or its size is known."""
    try:
        dataset = opened or open_dataset(spec, store.cache, Progress(print_message, "dataset"))
    except UvlpError as error:
        planner, size = _without_dataset(recipe, spec)
        missing = fetchable or (size is not None and not is_here(spec))
        if isinstance(error, DatasetElsewhere) or spec.path is not None or not missing:
            raise
        return _DatasetState(planner=planner, dataset=None, size=size, absent=error)
    caveats = (*dataset.manifest.caveats, *same_names(dataset.manifest.classes))
    manifest = replace(dataset.manifest, caveats=caveats)
    if opened is None:
        print_notes(recipe.dataset, manifest)
    imported_file = imported.find(store.root, spec, dataset.manifest)
    captioner, unused = _captioner(recipe, dataset, imported_file)
    if unused and opened is None:
        messages.note(f"{recipe.dataset}: {unused}")
    planner = Planner(
        recipe=_captioned_by(recipe, captioner),
        manifest=manifest,
        spec=spec,
        find=placeholder,
        imported=imported_file,
    )
    return _DatasetState(planner=planner, dataset=dataset, size=sizes.of_manifest(manifest), absent=None)


def print_notes(dataset: str, manifest: DatasetManifest) -> None:
    """Print the notes of a dataset that was opened."""
    for line in (*manifest.notes, *manifest.caveats):
        messages.note(f"{dataset}: {line}")


def _without_dataset(recipe: Recipe, spec: DatasetSpec) -> tuple[Planner, DatasetSize | None]:
    """Return a planner with a placeholder dataset of the known size, assumed to have no captions."""
    size = sizes.lookup(recipe)
    captioner, _ = _captioner(recipe, None, None)
    planner = Planner(
        recipe=_captioned_by(recipe, captioner),
        manifest=sizes.placeholder(spec, size),
        spec=spec,
        find=placeholder,
    )
    return planner, size


def _captioner(recipe: Recipe, dataset: Dataset | None, imported_file: Path | None) -> tuple[str, str]:
    """Return the captioner, with `auto` resolved, and a note about unused captions.

    Raises:
        UvlpError: the dataset's own captions would be used but are invalid.
    """
    setting = recipe.caption.captioner
    model = "llava" if recipe.pretrained else "colours"
    if dataset is None or setting == "file":
        return model if setting == "auto" else setting, ""
    if setting == "auto" and imported_file is None:
        return model if dataset.captions() is None else "file", ""
    used = "imported ones" if setting == "auto" else setting
    unused = _has_own(dataset) or (setting != "auto" and imported_file is not None)
    note = f"its captions in files are not used, but {used}" if unused else ""
    return "file" if setting == "auto" else setting, note


def _has_own(dataset: Dataset) -> bool:
    """Return whether the dataset has captions of its own, valid or not."""
    try:
        return dataset.captions() is not None
    except UvlpError:
        return True


def _captioned_by(recipe: Recipe, captioner: str) -> Recipe:
    return replace(recipe, caption=replace(recipe.caption, captioner=captioner))


def placeholder(part: str) -> LocalModel:
    """Return a placeholder for a published model that is missing or was not searched for yet."""
    return LocalModel(path=part, sha256=part, source=part, revision="")


def _models_missing(planner: Planner, methods: Sequence[Method]) -> list[Transfer]:
    """Return the downloads of missing models that these methods need, whatever the seed."""
    seed = planner.recipe.seeds[0]
    tasks = [task for method in methods for task in chain(planner.distilled(method, seed))]
    used = {origin for task in tasks for origin in task.origins.values()}
    parts = [part for part in find.PARTS if part in used]
    sides = {setting: side_px for task in tasks for _, setting, side_px in latent_sides(task)}
    return models_missing(planner.recipe.models, parts, sides)


def _finder(models: ModelSettings, store: Store) -> Callable[[str], LocalModel]:
    """Return a function that finds published models, each only once."""

    @cache
    def look_up(part: str) -> LocalModel:
        if part == "finetuned":
            return find.find(find.finetuned(models), "diffusion", store.cache)
        return find.find(models, part, store.cache)

    return look_up


def _goal(planner: Planner, checked: Checked, folders: Sequence[Folder], until: str) -> Task:
    if until == "teacher":
        return planner.teacher(planner.recipe.networks[0])
    return planner.table([*folders, *checked.methods], joined_titles(folders), checked.notes, checked.ablated)


def _check_ipc(planner: Planner, fix: str) -> None:
    """Refuse an IPC above the size of the smallest class; ``fix`` is an alternative to a lower IPC."""
    recipe = planner.recipe
    name, count = planner.manifest.smallest_class()
    if recipe.ipc > count:
        raise UvlpError(
            f"IPC is above the smallest class of {recipe.dataset} ({name}, {count} training images)",
            got=recipe.ipc,
            allowed=f"1 to {count}" + (" with random images" if fix else ""),
            fix=fix or None,
        )
