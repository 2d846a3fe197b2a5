"""What a run needs and this machine lacks: announced with its size, then fetched."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.task import Task
from uvlp.core import plugins, views
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size
from uvlp.declarations.dataset import declared_dataset
from uvlp.models.published import find, hub
from uvlp.models.published.source import command
from uvlp.pipeline import disk
from uvlp.pipeline.disk import Wanted
from uvlp.recipes.schema import ModelSettings

SPEED_BYTES_PER_S = 100e6 / 8
CODED = ("diffusion", "autoencoder")
"""Parts with an autoencoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Something to fetch.

    Attributes:
        part: the setting of `models` that names it; empty for a dataset.
        download: what is announced.
        folder: that it fills.
        command: that fetches it alone.
        run: fetches it.
    """

    part: str = ""
    download: Download
    folder: Path
    command: str
    run: Callable[[Progress], None]


def fetch(transfers: Sequence[Transfer], further: Sequence[Wanted] = (), *, offline: bool) -> None:
    """Announce, look at the disk, then fetch one after the other; what is finished is kept.

    Args:
        further: what will be written when they are here.
        offline: fetch nothing.

    Raises:
        UvlpError: ``offline`` and there is something to fetch: one line with all of it; too little disk; or
            see `models/published/find.py` and the dataset.
    """
    if not transfers:
        return
    if offline:
        commands = "; ".join(f"`{each.command}`" for each in transfers)
        folders = sorted({_folder_option(each) for each in transfers})
        raise UvlpError(
            "this needs files that are not here, and --offline fetches none",
            got="; ".join(map(_described, transfers)),
            fix=f"with a network: {commands}; or name a folder that holds them: {', '.join(folders)}",
        )
    _announce(transfers)
    wanted = [Wanted(each.download.what, each.folder, each.download.disk_bytes) for each in transfers]
    place = " --store for artifacts," if further else ""
    fix = f"make room, or use a larger disk:{place} --data for datasets, HF_HOME for models"
    disk.check([*further, *wanted], fix)
    view = views.view(len(transfers))
    try:
        for transfer in transfers:
            _fetch(transfer, view)
    finally:
        view.close()


def _described(transfer: Transfer) -> str:
    """What it is, where from, and the folder that it goes into."""
    download = transfer.download
    way = f"from {' and '.join(download.urls)} into {transfer.folder}"
    return f"{download.what} ({byte_size(download.bytes)} {way})"


def _folder_option(transfer: Transfer) -> str:
    """The option that names a folder with a copy."""
    if not transfer.part:
        return "--data FOLDER"
    return f"--set models.{transfer.part}={'local-dir:' * (transfer.part == 'clip')}FOLDER"


def models_missing(
    models: ModelSettings, parts: Iterable[str], sides: Mapping[str, int] | None = None
) -> list[Transfer]:
    """The transfers of those ``parts`` of the published models that are not here.

    Args:
        sides: of the images that the autoencoder is to take, by the setting, in pixels. Whether they fit is
            known by its configuration, which comes before its weights.

    Raises:
        UvlpError: a setting names a folder with something else.
    """
    return [
        Transfer(
            part="diffusion" if part == "autoencoder" else part,
            download=download,
            folder=hub.cache_folder(),
            command=command(models, part),
            run=partial(find.fetch, models, [part], sides=sides if part in CODED else None),
        )
        for part, download in find.needed(models, parts).items()
    ]


def latent_sides(task: Task) -> Iterator[tuple[str, str, int]]:
    """Of a task that encodes images by a published autoencoder: its name there, a setting, and their side."""
    if task.stage == "embed" and "autoencoder" in task.origins:
        yield "autoencoder", "image_px", task.facts["image_px"]
    if task.stage == "finetune" and "diffusion" in task.origins:
        yield "diffusion", "finetune.resolution_px", task.settings.resolution_px


def dataset_missing(spec: DatasetSpec) -> list[Transfer]:
    """The transfer of a dataset that is not here; nothing for one that is never fetched."""
    dataset = declared_dataset(spec.name)
    if dataset.download is None or dataset.fetch is None:
        return []
    download = dataset.download(spec)
    if download is None:
        return []
    options = {"data": spec.data, "variant": spec.variant}
    alone = f"uvlp fetch {spec}" + "".join(f" --{name} {value}" for name, value in options.items() if value)
    return [Transfer(download=download, folder=spec.root, command=alone, run=partial(dataset.fetch, spec))]


def datasets_here() -> dict[str, bool]:
    """Whether each of the datasets that are fetched lies in the usual folder."""
    fetched = [name for name in plugins.names("datasets") if declared_dataset(name).download is not None]
    return {name: is_here(DatasetSpec(name=name)) for name in fetched}


def is_here(spec: DatasetSpec) -> bool:
    """Whether a dataset that is fetched lies where ``spec`` says; whether it is good, opening it tells."""
    dataset = declared_dataset(spec.name)
    if dataset.download is None or dataset.fetch is None or dataset.download(spec) is not None:
        return False
    try:
        dataset.fetch(spec, Progress())  # with nothing left to transfer it only looks whether it is there
    except UvlpError:
        return False
    return True


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
        way = f"from {', '.join(download.urls)} into {transfer.folder}"
        print(f"fetch  {download.what}: {byte_size(download.bytes)} {way}{note}", file=sys.stderr)
    total = sum(transfer.download.bytes for transfer in transfers)
    unknown = sum(not transfer.download.bytes for transfer in transfers)
    more = f", and {unknown} of unknown size" if unknown and total else ""
    minutes = max(1, round(total / SPEED_BYTES_PER_S / 60))
    time_left = f"; about {minutes} min at 100 Mbit/s" if total else ""
    print(f"       together {byte_size(total)}{more}{time_left}", file=sys.stderr)
