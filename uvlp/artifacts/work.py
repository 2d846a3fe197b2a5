"""What a stage is handed: its task, where its inputs lie, and the folder that it has to fill."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.files import json_files
from uvlp.core.progress import Progress

NOTES = "notes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One artifact in the making.

    Attributes:
        task: what to make.
        folder: empty folder to fill; the store adds the manifest and moves it.
        store: where the inputs are.
        progress: to be told what happens.
        open_dataset: opens a dataset that must have the content of a hash (`pipeline/datasets.py`).
    """

    task: Task
    folder: Path
    store: Store
    progress: Progress
    open_dataset: Callable[[DatasetSpec, Path, Progress, str], Dataset]

    def input(self, name: str) -> Path:
        """Folder of a finished input artifact."""
        return self.store.folder(self.task.inputs[name])

    def place(self, name: str) -> str:
        """Where a model lies: the folder of an input artifact, or what `Task.origins` says."""
        return str(self.input(name)) if name in self.task.inputs else self.task.origins[name]

    @property
    def partial(self) -> Path:
        """A folder that outlives an interrupted run, for finished shards and checkpoints.

        It is removed once the artifact is complete; a file in it counts only if it was renamed into place.
        """
        return self.store.partial(self.task)

    def dataset(self) -> Dataset:
        """The dataset of the task.

        Raises:
            UvlpError: it cannot be opened, or its files changed since the key was made.
        """
        assert self.task.dataset_spec is not None
        return self.open_dataset(self.task.dataset_spec, self.store.cache, self.progress, self.task.dataset)

    def note(self, notes: dict[str, Any]) -> None:
        """Keep counts that must stand in the result, e.g. missing captions."""
        kept = {name: value for name, value in notes.items() if value}
        if kept:
            text = json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False)
            (self.folder / NOTES).write_text(text + "\n", encoding="utf-8")


def read_notes(folder: Path) -> dict[str, Any]:
    """The notes of a finished artifact."""
    path = folder / NOTES
    return json_files.read_object(path) if path.is_file() else {}
