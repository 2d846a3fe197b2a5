"""Argument of a stage: its task, its inputs, and the folder to fill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.artifacts.parts.parts import Parts, Plan, Share
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.files import json_files
from uvlp.core.progress import Progress

NOTES = "notes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One artifact being built, or a share of its parts.

    Attributes:
        task: the task.
        folder: empty folder to fill; the store adds the manifest and moves it. Not used for a share.
        store: the store with the inputs.
        progress: receives reports.
        open_dataset: opens a dataset that must have the content of a hash (`pipeline/datasets.py`).
        cards: GPUs that are reserved for it, as CUDA names them; empty: what this process sees.
        share: the parts to make; with some of them, the artifact is published by another job.
    """

    task: Task
    folder: Path
    store: Store
    progress: Progress
    open_dataset: Callable[[DatasetSpec, Path, Progress, str], Dataset]
    cards: tuple[str, ...] = ()
    share: Share = Share()

    def input(self, name: str) -> Path:
        """Return the folder of a finished input artifact."""
        return self.store.folder(self.task.inputs[name])

    def model_path(self, name: str) -> str:
        """Return the path of a model: the folder of an input artifact, or the origin of the task."""
        return str(self.input(name)) if name in self.task.inputs else self.task.origins[name]

    @property
    def partial(self) -> Path:
        """Folder that survives an interrupted run, for finished parts and checkpoints.

        It is removed once the artifact is complete; a file in it counts only if it was renamed into place.
        """
        return self.store.partial(self.task)

    def parts(self) -> Parts:
        """Return the parts of the unfinished artifact."""
        return Parts(self.partial, self.task.key, self.progress.log)

    def missing(self, parts: Parts, plan: Plan, what: str) -> list[range]:
        """Return the missing parts of this share, and report what exists from an earlier run.

        Args:
            what: name of the items, for the message.
        """
        missing = parts.missing(plan, self.share)
        done = sum(map(len, plan.parts(self.share))) - sum(map(len, missing))
        if missing and done:
            self.progress.log(f"{done} {what} exist from an earlier run; resuming")
        return missing

    def in_turn(self, parts: Parts, plan: Plan, missing: Sequence[range]) -> Iterator[range]:
        """Yield the missing parts of this share, and then, if it helps, parts of slower jobs.

        It begins no part of another job after it has helped for as long as its own parts took.
        """
        began = monotonic()
        for part in missing:
            if not self.share.helps or not parts.has(part.start, plan):
                yield part
        ends = 2 * monotonic() - began
        logged = False
        while self.share.helps and monotonic() < ends:
            slower = parts.of_slowest(plan, self.share)
            if slower is None:
                return
            if not logged:
                self.progress.log("all parts of this job are made; making some of slower jobs")
                logged = True
            yield slower

    def dataset(self) -> Dataset:
        """Open the dataset of the task.

        Raises:
            UvlpError: it cannot be opened, or its files changed since the key was made.
        """
        assert self.task.dataset_spec is not None
        return self.open_dataset(self.task.dataset_spec, self.store.cache, self.progress, self.task.dataset)

    def note(self, notes: dict[str, Any]) -> None:
        """Store counts that tables report, e.g. missing captions."""
        kept = {name: value for name, value in notes.items() if value}
        if kept:
            text = json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False)
            (self.folder / NOTES).write_text(text + "\n", encoding="utf-8")


def read_notes(folder: Path) -> dict[str, Any]:
    """Read the notes of a finished artifact."""
    path = folder / NOTES
    return json_files.read_object(path) if path.is_file() else {}
