"""Downloads of missing datasets and models: announced with their sizes, then carried out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.task import Task
from uvlp.core import plugins
from uvlp.core.display import messages, views
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size
from uvlp.declarations.dataset import declared_dataset
from uvlp.models.published import find, hub
from uvlp.models.published.source import command
from uvlp.pipeline.downloads import disk
from uvlp.pipeline.downloads.disk import Wanted
from uvlp.recipes.schema import ModelSettings

SPEED_BYTES_PER_S = 100e6 / 8
WITH_AUTOENCODER = ("diffusion", "autoencoder")
"""Parts that contain an autoencoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One download.

    Attributes:
        part: the setting of `models` that names it; empty for a dataset.
        download: its description.
        folder: the target folder.
        command: the command that downloads only this.
        run: carries out the download.
    """

    part: str = ""
    download: Download
    folder: Path
    command: str
    run: Callable[[Progress], None]


def fetch(transfers: Sequence[Transfer], further: Sequence[Wanted] = (), *, offline: bool) -> None:
    """Announce the downloads, check the disk, then carry them out one by one; finished ones are kept.

    Args:
        further: what will be written after the downloads.
        offline: download nothing.

    Raises:
        UvlpError: ``offline`` and something is missing (lists all of it), too little disk space, or see
            `models/published/find.py` and the dataset.
    """
    if not transfers:
        return
    if offline:
        commands = "; ".join(f"`{each.command}`" for each in transfers)
        folders = sorted({_folder_option(each) for each in transfers})
        raise UvlpError(
            "files are missing, and --offline does not download them",
            got="; ".join(map(_described, transfers)),
            fix=f"with a network: {commands}; or give a folder that contains them: {', '.join(folders)}",
        )
    _announce(transfers)
    wanted = [Wanted(each.download.what, each.folder, each.download.disk_bytes) for each in transfers]
    store_option = " --store for artifacts," if further else ""
    fix = f"free some space, or use a larger disk:{store_option} --data for datasets, HF_HOME for models"
    disk.check([*further, *wanted], fix)
    view = views.view(len(transfers))
    try:
        for transfer in transfers:
            _fetch(transfer, view)
    finally:
        view.close()


def _described(transfer: Transfer) -> str:
    """Describe title, size, sources and target folder of a download."""
    download = transfer.download
    route = f"from {' and '.join(download.urls)} into {transfer.folder}"
    return f"{download.what} ({byte_size(download.bytes)} {route})"


def _folder_option(transfer: Transfer) -> str:
    """Return the option that sets a folder with a copy."""
    if not transfer.part:
        return "--data FOLDER"
    return f"--set models.{transfer.part}={'local-dir:' * (transfer.part == 'clip')}FOLDER"


def models_missing(
    models: ModelSettings, parts: Iterable[str], sides: Mapping[str, int] | None = None
) -> list[Transfer]:
    """Return the downloads of those ``parts`` of the published models that are missing.

    Args:
        sides: sides of the autoencoder's images in pixels, by setting. Its configuration, downloaded before
            its weights, shows whether they fit.

    Raises:
        UvlpError: a setting names a folder with other content.
    """
    return [
        Transfer(
            part="diffusion" if part == "autoencoder" else part,
            download=download,
            folder=hub.cache_folder(),
            command=command(models, part),
            run=partial(find.fetch, models, [part], sides=sides if part in WITH_AUTOENCODER else None),
        )
        for part, download in find.needed(models, parts).items()
    ]


def latent_sides(task: Task) -> Iterator[tuple[str, str, int]]:
    """Yield, for a task with a published autoencoder, its name there, a setting, and the image side."""
    if task.stage == "embed" and "autoencoder" in task.origins:
        yield "autoencoder", "image_px", task.facts["image_px"]
    if task.stage == "finetune" and "diffusion" in task.origins:
        yield "diffusion", "finetune.resolution_px", task.settings.resolution_px


def dataset_missing(spec: DatasetSpec) -> list[Transfer]:
    """Return the download of a missing dataset; empty for a dataset without downloads."""
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
    """Return for each downloadable dataset that is one by itself whether it is in the default folder."""
    every = {name: declared_dataset(name) for name in plugins.names("datasets")}
    fetched = [name for name, each in every.items() if each.download is not None and not each.argument]
    return {name: is_here(DatasetSpec(name=name)) for name in fetched}


def is_here(spec: DatasetSpec) -> bool:
    """Return whether a downloadable dataset is present; its files are verified when it is opened."""
    dataset = declared_dataset(spec.name)
    if dataset.download is None or dataset.fetch is None or dataset.download(spec) is not None:
        return False
    try:
        dataset.fetch(spec, Progress())  # with nothing left to download it only checks for presence
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
    """Print the downloads on standard error; only results go to standard output."""
    for transfer in transfers:
        download = transfer.download
        note = f"  [{download.note}]" if download.note else ""
        route = f"from {', '.join(download.urls)} into {transfer.folder}"
        messages.report("fetch", f"{download.what}: {byte_size(download.bytes)} {route}{note}")
    total = sum(transfer.download.bytes for transfer in transfers)
    unknown = sum(not transfer.download.bytes for transfer in transfers)
    more = f", and {unknown} of unknown size" if unknown and total else ""
    minutes = max(1, round(total / SPEED_BYTES_PER_S / 60))
    time_left = f"; about {minutes} min at 100 Mbit/s" if total else ""
    messages.report("", f"in total {byte_size(total)}{more}{time_left}")
