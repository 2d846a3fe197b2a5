"""Making of jobs on worker processes and cards of this machine, which may be a node of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core import machine
from uvlp.core.display import views
from uvlp.core.scheduling import cards, meeting, workers as processes
from uvlp.core.scheduling.cards import Asked
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.declarations.launcher import Make
from uvlp.pipeline import preflight
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.making.execute import execute
from uvlp.pipeline.planning.pieces import Divided, Piece, task_of
from uvlp.pipeline.planning.spread import in_order, of_job, spread
from uvlp.pipeline.runs.journal import recorded
from uvlp.pipeline.runs.tracking import Tracking, tracked


@dataclass(frozen=True)
class MakeHere(Make):
    """Makes the unfinished ones of some jobs on this machine.

    Attributes:
        asked: cards that are asked for.
        estimates: the needs of each task on one card, by key.
        command: command line of the run, for its journal.
        config: the config of the run, for the manifests.
        run: name of the `Launch` if it is one on a cluster, for its journal.
        tracking: where curves are reported to.
    """

    asked: Asked
    estimates: Mapping[str, Needs]
    command: str
    config: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    tracking: Tracking | None = None

    def __call__(self, jobs: Sequence[Task | Piece | Divided], workers: int | None) -> None:
        """Make the jobs; see `Make`.

        Raises:
            UvlpError: this machine cannot compute them, or a stage found invalid input.
            WorkerFailed: a stage failed unexpectedly.
        """
        store = Store(self.root)
        todo = [job for job in jobs if not store.has(task_of(job))]
        if not todo:
            return
        preflight.check_card(list(map(task_of, todo)))
        asked = replace(self.asked, workers=workers)
        if meeting.machines() > 1 or not any(job.stage == "finetune" for job in todo):
            # This job of a cluster has its share of the cards of a fine-tuning, or cards for other tasks.
            asked = replace(asked, gpus_per_finetune=None)
        parallel = cards.parallel(asked)
        cards.announce(parallel)
        needs = estimated.on_machine(parallel, self.estimates)
        whole = [job for job in todo if isinstance(job, Task)]
        if len(whole) == len(todo):  # not the share of a job of a cluster
            todo = spread(in_order(whole, needs), needs, min(len(parallel.cards), parallel.workers))
        # Without cards no job needs anything, but it has an estimate.
        known = needs if parallel.cards else lambda task: self.estimates.get(task.key, ANYWHERE)
        seconds = {job.key: 60 * (of_job(job, known).minutes or 0.0) for job in todo}
        count = len(parallel.layout.workers[: len(todo)])
        try:
            view = views.view(len(todo))
            with (
                recorded(self.root, todo, count, seconds, self.command, view, self.run) as journal,
                tracked(self.tracking, self.config, store, todo, journal) as reports,
            ):
                processes.run(
                    todo,
                    partial(execute, store.root, config=self.config, curves=self.tracking is not None),
                    parallel=parallel,
                    environment=machine.thread_environment(),
                    view=reports,
                    needs=partial(of_job, needs=needs),
                )
        finally:
            store.sweep()
