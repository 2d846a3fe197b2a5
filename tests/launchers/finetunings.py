"""A fine-tuning as the work of a launcher: tiny, on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.models.finetuning import finetuning_jobs
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.progress import Event, Progress
from uvlp.declarations.launcher import Launch, Make
from uvlp.models.finetuning.job import Job, run

EPOCHS = 8
"""Of two updates; every second update leaves a checkpoint."""
TASK = Task(kind="weights", stage="finetune", facts={"number": 1}, inputs={}, title="fine-tuning")


def job(world: Path, folder: Path, partial: Path) -> Job:
    """Return the job that is made, in other folders."""
    made = finetuning_jobs.job(world, partial.parent / "unused", epochs=EPOCHS, checkpointing_steps=2)
    return replace(made, folder=str(folder), partial=str(partial))


@dataclass(frozen=True)
class MakeFinetuning(Make):
    """Fine-tunes with the images and models of ``world``; its messages go to the log of the job."""

    world: Path

    def __call__(self, jobs: Sequence[Task], workers: int | None) -> None:
        """Make the tasks."""
        store = Store(self.root)
        store.prepare()
        for each in jobs:
            with store.making(each, print) as folder:
                if folder is None:
                    continue
                run(job(self.world, folder, store.partial(each)), Progress(_print_message))
                store.commit(each, folder, {"at": "2026-01-01T00:00:00Z"})


def _print_message(event: Event) -> None:
    if event.message:
        print(event.message, flush=True)


def work(root: Path, world: Path, cards: int, *, detach: bool) -> Launch:
    """Return the work of a fine-tuning on several cards."""
    return Launch(
        name=TASK.key,
        root=root,
        tasks=(TASK,),
        jobs=(TASK,),
        seconds={TASK.key: 60.0},
        make=MakeFinetuning(root, world),
        cards={TASK.key: cards},
        detach=detach,
    )
