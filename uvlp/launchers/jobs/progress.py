"""Progress of a run on a cluster: lines about its stages when their counts change, and about its jobs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.display import messages
from uvlp.declarations.launcher import Submitted
from uvlp.launchers.jobs import endings, outcome, queue
from uvlp.launchers.jobs.queue import GONE, State, runs
from uvlp.launchers.jobs.record import JobRecord, Run


class StageLines:
    """The tasks of a run, counted by stage."""

    def __init__(self, tasks: Sequence[Task], store: Store) -> None:
        self._store = store
        self._left = list(tasks)
        self._stages: dict[str, int] = {}
        for task in tasks:
            self._stages[task.stage] = self._stages.get(task.stage, 0) + 1
        self._shown: dict[str, str] = {}
        self._reasons: set[str] = set()

    def show(self, live: Collection[JobRecord], states: Mapping[str, State]) -> None:
        """Print the stages whose counts have changed, and why jobs do not start, if not for their turn."""
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
        reasons = Counter(state.reason for job in live if (state := states.get(job.id)) and state.is_held_up)
        for reason, count in reasons.items():
            if reason not in self._reasons:
                messages.note(f"jobs do not start ({count}), and the cluster says why: {reason}")
        self._reasons = set(reasons)


def submitted(run: Run) -> list[Submitted]:
    """Return the jobs of a run; what ended and left no report is asked of the cluster."""
    listed: Mapping[str, State] | None = None
    with contextlib.suppress(queue.NoAnswer):
        listed = queue.states()
    return [_submitted(run, job, listed) for job in run.jobs]


def _submitted(run: Run, job: JobRecord, listed: Mapping[str, State] | None) -> Submitted:
    log = endings.log_path(run, job)
    shown = Submitted(tasks=job.tasks, state="unknown", log=log if log.is_file() else None)
    found = outcome.read(run.folder, job.name)
    if found is not None and found.state == outcome.DONE:
        return replace(shown, state="done")
    if found is not None and found.state != outcome.STOPPED:
        return replace(shown, state="failed", error=f"{endings.describe(job)}: {found.what}")
    if listed is None:
        return shown
    state = listed.get(job.id, State(GONE))
    if state.live:
        reason = state.reason if state.is_held_up else ""
        return replace(shown, state="running" if runs(state) else "waiting", reason=reason)
    if state.state in (GONE, endings.CANCELLED):
        return replace(shown, state="stopped")
    return replace(shown, state="failed", error=f"{endings.describe(job)}: {state.state}")
