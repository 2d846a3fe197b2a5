"""Archives of a dataset's images for the nodes of a cluster, written by a first job of its launcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import SPLITS, DatasetSpec, check_content
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import KEY_LENGTH, Task
from uvlp.core.display import messages
from uvlp.core.hashing import digest
from uvlp.core.progress import Progress, print_message
from uvlp.core.wording import byte_size
from uvlp.datasets.staging import archives
from uvlp.datasets.staging.archives import ImageFiles
from uvlp.declarations.launcher import Launch, Launcher, Make, declared_launcher
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.prepare import Plan

SECONDS = 1800.0
"""Assumed time to copy a large dataset once within a shared folder."""
UNREAD_BY = ("collect", "tabulate")
"""Stages that read no image of the dataset."""


@dataclass(frozen=True)
class Archiving:
    """The job that writes the archives of a dataset with a content."""

    spec: DatasetSpec
    content: str
    stage: str = "dataset"
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique key, of the content."""
        return digest(["archives", self.content])[:KEY_LENGTH]

    @property
    def title(self) -> str:
        """Name shown to the user."""
        return f"archive {self.spec}"


@dataclass(frozen=True)
class ArchiveHere(Make):
    """Writes archives on this machine."""

    def __call__(self, jobs: Sequence[Archiving], workers: int | None) -> None:
        """Write the archives.

        Raises:
            UvlpError: the dataset cannot be opened or has changed, or see `archives.write`.
        """
        cache = Store(self.root).cache
        for each in jobs:
            progress = Progress(print_message, each.title)
            dataset = open_dataset(each.spec, cache, progress)
            check_content(each.spec, dataset.manifest, each.content)
            archives.write(dataset, cache, progress)  # type: ignore[arg-type]


def archive(plan: Plan, store: Store, todo: Sequence[Task], launcher: Launcher) -> None:
    """Let a job write the archives, and wait for it, if the launcher's nodes read them and they are missing.

    Raises:
        UvlpError: the job failed, or cannot be run.
    """
    declared = declared_launcher(launcher.name)
    spec = next((task.dataset_spec for task in todo if _may_read_images(task)), None)
    if spec is None or not declared.archives(launcher.settings):
        return
    if not isinstance(plan.dataset, ImageFiles):
        messages.note(f"nothing to stage: the images of {spec} are no files of their own")
        return
    content = plan.manifest.content_hash
    if archives.is_written(store.cache, content):
        return
    job = Archiving(replace(spec, data=str(spec.root)), content)  # a node's environment may differ
    launch = Launch(
        name=job.key,
        root=store.root,
        tasks=(),
        jobs=(job,),
        seconds={job.key: SECONDS},
        make=ArchiveHere(store.root),
        cards={job.key: 0},
    )
    declared.launch(launch, launcher.settings)


def _may_read_images(task: Task) -> bool:
    alone = task.stage == "evaluate" and not task.whole_set
    return bool(task.dataset) and task.stage not in UNREAD_BY and not alone


def lines(plan: Plan, cache: Path, launcher: Launcher) -> list[str]:
    """Return what a dry run prints about archives: whether there are any, their disk and that of a node."""
    if not declared_launcher(launcher.name).archives(launcher.settings):
        return []
    if plan.dataset is None:
        expected = f", about {byte_size(plan.size.disk_bytes)}" if plan.size and plan.size.disk_bytes else ""
        return [f"staging: on; a first job writes archives of the images{expected}"]
    if not isinstance(plan.dataset, ImageFiles):
        return ["staging: on, with nothing to do: the images of this dataset are no files of their own"]
    content = plan.manifest.content_hash
    sizes = {split: archives.stored_bytes(plan.dataset, split) for split in SPLITS}
    written = "is there" if archives.is_written(cache, content) else "is written by a first job"
    each = " or ".join(f"{split} ({byte_size(size)})" for split, size in sizes.items())
    where = archives.folder_of(cache, content)
    return [
        f"staging: on; an archive of {byte_size(sum(sizes.values()))} in {where} {written}; a job that reads "
        f"images copies {each} to its node's disk"
    ]
