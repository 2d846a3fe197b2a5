"""What a run needs and this machine lacks: announced with its size, then fetched."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetElsewhere, DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.captioners.texts import imported as imported_captions
from uvlp.core import views
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress, print_remark
from uvlp.core.wording import byte_size
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.dataset import declared_dataset
from uvlp.models.published import find as pretrained, hub
from uvlp.models.published.source import command
from uvlp.pipeline import disk, preflight
from uvlp.pipeline.contenders import resolve_method
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.disk import Wanted
from uvlp.pipeline.expected import Goal, expect
from uvlp.pipeline.preflight import Ground
from uvlp.recipes.schema import ModelSettings, Recipe

SPEED_BYTES_PER_S = 100e6 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What is announced, the folder that it fills, the command that gets it alone, and the call.

    ``part``: the setting of `models` that names it; empty for a dataset.
    """

    part: str = ""
    download: Download
    place: Path
    command: str
    run: Callable[..., None]


def ensure(
    recipe: Recipe, store: Store, offline: bool, goal: Goal | None = None, until: str = "tabulate"
) -> None:
    """Fetch what ``recipe`` needs and this machine lacks: its dataset, its models.

    Args:
        store: where manifests are remembered and imported captions lie.
        offline: fetch nothing.
        goal: what is made last; what is certain to fail is refused before anything is fetched for it.
        until: the last stage.

    Raises:
        UvlpError: something is missing and ``offline``: one line with all of it; or see `run`.
    """
    transfers = _missing(recipe, partial(_has_captions, store=store))
    further: list[Wanted] = []
    if transfers and goal is not None:
        ground, tasks = _check_expected(recipe, store, goal, until)
        further = [disk.of_store(ground, tasks, store.root)]
        sides = {setting: side_px for task in tasks for _, setting, side_px in preflight.latent_sides(task)}
        transfers = [_with_sides(each, sides) for each in transfers]
    if transfers and offline:
        commands = "; ".join(f"`{each.command}`" for each in transfers)
        folders = {_folder_word(each) for each in transfers}
        raise UvlpError(
            "this needs files that are not here, and --offline fetches none",
            got="; ".join(map(_told, transfers)),
            do=f"with a network: {commands}; or name a folder that holds them: {', '.join(sorted(folders))}",
        )
    if not all(each.part for each in transfers):
        _check_elsewhere(DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant), store)
    carry_out(transfers, further)


def _check_expected(recipe: Recipe, store: Store, goal: Goal, until: str) -> tuple[Ground, list[Task]]:
    """The tasks that are still to be made, of which none is certain to fail, and what tells so."""
    expected = expect(recipe, store)
    tasks = [task for task in expected.tasks(goal, until) if not store.has(task)]
    preflight.check(expected.ground, tasks)
    preflight.check_precision(tasks)
    return expected.ground, tasks


def _with_sides(transfer: Transfer, sides: Mapping[str, int]) -> Transfer:
    """Whether images of these sides fit the autoencoder is known by its configuration, which comes first."""
    if transfer.part != "diffusion":
        return transfer
    return replace(transfer, run=partial(transfer.run, sides=sides))


def _check_elsewhere(spec: DatasetSpec, store: Store) -> None:
    """Fetch nothing for a dataset that lies one folder further up or down than it was looked for.

    Raises:
        DatasetElsewhere: it does.
    """
    try:
        open_dataset(spec, store.cache, Progress(print_remark, "dataset"))
    except DatasetElsewhere:
        raise
    except UvlpError:
        return


def _told(transfer: Transfer) -> str:
    """What it is, where from, and the folder that it goes into."""
    download = transfer.download
    way = f"from {' and '.join(download.urls)} into {transfer.place}"
    return f"{download.what} ({byte_size(download.bytes)} {way})"


def _folder_word(transfer: Transfer) -> str:
    """The option that names a folder with a copy."""
    if not transfer.part:
        return "--data FOLDER"
    return f"--set models.{transfer.part}={'local-dir:' * (transfer.part == 'clip')}FOLDER"


def missing(recipe: Recipe, store: Store) -> list[Download]:
    """What `ensure` would fetch; a dataset that nobody can fetch is not among it, whoever opens it says so.

    Raises:
        UvlpError: a model is there and is not what it should be.
    """

    def has_captions(spec: DatasetSpec) -> bool:
        try:
            dataset = open_dataset(spec, store.cache, Progress(print_remark, "dataset"))
        except UvlpError:
            return False
        return _captioned(spec, dataset, store)

    return [transfer.download for transfer in _missing(recipe, has_captions)]


def _missing(recipe: Recipe, has_captions: Callable[[DatasetSpec], bool]) -> list[Transfer]:
    if recipe.pretrained and recipe.models.finetuned:
        pretrained.check_finetuned(Path(recipe.models.finetuned))
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    transfers = dataset_missing(spec)
    here = not transfers
    if recipe.pretrained:
        # A dataset that has to be fetched brings no captions.
        transfers += models_missing(recipe.models, _parts(recipe, lambda: here and has_captions(spec)))
    return transfers


def _parts(recipe: Recipe, has_captions: Callable[[], bool]) -> list[str]:
    """The parts of the published models that the recipe's methods and captioner read (see `planner.py`)."""
    parts: set[str] = set()
    captions = False
    for spec in recipe.methods:
        method = resolve_method(spec, recipe)
        if set(method.features) - {"network"}:
            parts |= {"clip", "autoencoder"}
        if method.synthesis is not None and not (method.declared.finetuned and recipe.models.finetuned):
            parts.add("diffusion")
        captions = captions or method.declared.captions
    name = recipe.caption.captioner
    if name == "auto":
        name = "file" if not captions or has_captions() else "llava"
    if captions and name != "file":
        parts |= {declared_captioner(name).model} - {""}
    return [part for part in pretrained.PARTS if part in parts]


def _has_captions(spec: DatasetSpec, store: Store) -> bool:
    """Whether captions were imported or the dataset brings some."""
    dataset = open_dataset(spec, store.cache, Progress(print_remark, "dataset"))
    return _captioned(spec, dataset, store)


def _captioned(spec: DatasetSpec, dataset: Dataset, store: Store) -> bool:
    imported = imported_captions.find(store.root, spec, dataset.manifest)
    return imported is not None or dataset.captions() is not None


def models_missing(models: ModelSettings, parts: Iterable[str]) -> list[Transfer]:
    return [
        Transfer(
            part="diffusion" if part == "autoencoder" else part,
            download=download,
            place=hub.cache_folder(),
            command=command(models, part),
            run=partial(pretrained.fetch, models, [part]),
        )
        for part, download in pretrained.needed(models, parts).items()
    ]


def dataset_missing(spec: DatasetSpec) -> list[Transfer]:
    """The transfer of a dataset that is not here; nothing for one that is never fetched."""
    dataset = declared_dataset(spec.name)
    if dataset.download is None or dataset.fetch is None:
        return []
    download = dataset.download(spec)
    if download is None:
        return []
    options = {"data": spec.data, "variant": spec.variant}
    command = f"uvlp fetch {spec}" + "".join(f" --{name} {value}" for name, value in options.items() if value)
    return [Transfer(download=download, place=spec.root, command=command, run=partial(dataset.fetch, spec))]


def carry_out(transfers: Sequence[Transfer], further: Sequence[Wanted] = ()) -> None:
    """Announce, look at the disk, then fetch one after the other; what is finished is kept.

    Args:
        further: what will be written when they are here.
    """
    if not transfers:
        return
    _announce(transfers)
    wanted = [Wanted(each.download.what, each.place, each.download.disk_bytes) for each in transfers]
    place = " --store for artifacts," if further else ""
    do = f"make room, or use a larger disk:{place} --data for datasets, HF_HOME for models"
    disk.check([*further, *wanted], do)
    view = views.view(len(transfers))
    try:
        for transfer in transfers:
            _fetch(transfer, view)
    finally:
        view.close()


def _fetch(transfer: Transfer, view: views.View) -> None:
    title = transfer.download.what
    began = time.monotonic()
    view.begin(title)
    transfer.run(Progress(partial(view.event, title), title))
    view.end(title, time.monotonic() - began)


def _announce(transfers: Sequence[Transfer]) -> None:
    """What will be transferred, on standard error: the result alone goes to standard output."""
    for transfer in transfers:
        download = transfer.download
        note = f"  [{download.note}]" if download.note else ""
        way = f"from {', '.join(download.urls)} into {transfer.place}"
        print(f"fetch  {download.what}: {byte_size(download.bytes)} {way}{note}", file=sys.stderr)
    total = sum(transfer.download.bytes for transfer in transfers)
    unknown = sum(not transfer.download.bytes for transfer in transfers)
    more = f", and {unknown} of unknown size" if unknown and total else ""
    minutes = max(1, round(total / SPEED_BYTES_PER_S / 60))
    time_left = f"; about {minutes} min at 100 Mbit/s" if total else ""
    print(f"       together {byte_size(total)}{more}{time_left}", file=sys.stderr)
