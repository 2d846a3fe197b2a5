"""Progress of a run on a cluster: one line per stage, when its counts change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.display import messages
from uvlp.launchers.jobs.queue import State, runs
from uvlp.launchers.jobs.record import JobRecord


class StageLines:
    """The tasks of a run, counted by stage."""

    def __init__(self, tasks: Sequence[Task], store: Store) -> None:
        self._store = store
        self._left = list(tasks)
        self._stages: dict[str, int] = {}
        for task in tasks:
            self._stages[task.stage] = self._stages.get(task.stage, 0) + 1
        self._shown: dict[str, str] = {}

    def show(self, live: Iterable[JobRecord], states: Mapping[str, State]) -> None:
        """Print the stages whose counts have changed."""
        self._left = [task for task in self._left if not self._store.sees(task)]
        active = {key for job in live if runs(states.get(job.id)) for key in job.tasks}
        for stage, total in self._stages.items():
            left = [task.key for task in self._left if task.stage == stage]
            text = f"{total - len(left)} of {total} done"
            if left:
                running = len(active.intersection(left))
                text += f", {running} in running jobs, {len(left) - running} waiting"
            if self._shown.get(stage) != text:
                self._shown[stage] = text
                messages.report("", f"{stage}: {text}")
