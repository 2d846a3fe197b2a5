"""Hashing of a large dataset by a job of a launcher, so that the machine that plans does not read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import KEY_LENGTH
from uvlp.core.files.writing import write_utf8
from uvlp.core.hashing import digest
from uvlp.core.progress import Progress, print_message
from uvlp.declarations.launcher import Launch, Launcher, Make, declared_launcher
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.downloads.transfers import dataset_missing
from uvlp.pipeline.estimates import sizes
from uvlp.pipeline.names import Checked

MANY_IMAGES = 100_000
"""Datasets with fewer images are hashed where the run is planned, within a minute or so."""
SECONDS = 1800.0
"""Assumed time to read a large dataset once from a shared folder."""


@dataclass(frozen=True)
class Opening:
    """The job that opens a dataset, and thereby hashes its files and records them in the store."""

    spec: DatasetSpec
    stage: str = "dataset"
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique key, of the dataset's name and location."""
        return digest([self.spec.location, str(self.spec.root)])[:KEY_LENGTH]

    @property
    def title(self) -> str:
        """Name shown to the user."""
        return f"hash {self.spec}"


def marker(cache: Path, opening: Opening) -> Path:
    """Return the file which says that a job has hashed the dataset."""
    return cache / f"hashed-{opening.key}.json"


def hash_elsewhere(checked: Checked, store: Store, launcher: Launcher) -> None:
    """Let a job hash the dataset, and wait for it, if it is large, present, and was not hashed before.

    Raises:
        UvlpError: it has invalid files, or the launcher cannot run the job.
    """
    declared = declared_launcher(launcher.name)
    spec, size = checked.spec, sizes.lookup(checked.recipe)
    opening = Opening(replace(spec, data=str(spec.root)))  # a node's environment may name another folder
    large = size is None or size.train >= MANY_IMAGES
    if not (declared.remote and large) or marker(store.cache, opening).is_file() or dataset_missing(spec):
        return
    store.prepare()
    launch = Launch(
        name=opening.key,
        root=store.root,
        tasks=(),
        jobs=(opening,),
        seconds={opening.key: SECONDS},
        make=OpenHere(store.root),
        cards={opening.key: 0},
    )
    declared.launch(launch, launcher.settings)


@dataclass(frozen=True)
class OpenHere(Make):
    """Opens datasets on this machine."""

    def __call__(self, jobs: Sequence[Opening], workers: int | None) -> None:
        """Open the datasets.

        Raises:
            UvlpError: see `open_dataset`.
        """
        for opening in jobs:
            cache = Store(self.root).cache
            open_dataset(opening.spec, cache, Progress(print_message, opening.title))
            write_utf8(marker(cache, opening), "{}\n")
