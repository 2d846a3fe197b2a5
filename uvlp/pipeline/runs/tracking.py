"""Curves, pictures and the recipe of a run, handed to a tracker by its main process.

The tracker works in a thread of its own, so that a slow one holds up nothing. What it raises is reported
once, and the run goes on without it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from uvlp.artifacts import distilled
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core import plugins
from uvlp.core.display import messages
from uvlp.core.display.views import View
from uvlp.core.files import json_files
from uvlp.core.files.leases.lease import new_token
from uvlp.core.files.writing import write_utf8
from uvlp.core.progress import Event
from uvlp.core.wording import cut
from uvlp.pipeline.planning.pieces import Divided, Piece, task_of
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.runs.tracker import Described, TrackedRun, Tracker
from uvlp.recipes.requests.request import TRACKERS, UNTRACKED, Request

LOGS, UNFINISHED = "logs", "tracked"
"""Folder of a store for trackers, and the one in it for what unfinished artifacts have reported."""
PATIENCE_S, SHORT_PATIENCE_S = 60.0, 5.0
"""How long a run waits, at its end, for a tracker that is still sending; and one that was interrupted."""
LONGEST = 300
ID_LENGTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Where a run is reported to; part of what a launcher submits.

    Attributes:
        name: of the tracker.
        offline: nothing may be sent.
        group: name of the run.
    """

    name: str
    offline: bool
    group: str


def requested(request: Request, plan: Plan) -> Tracking | None:
    """Return how a request is tracked; None if it is not.

    A tracker that is not installed is reported, and the run goes on without it.
    """
    name = request.report_to or UNTRACKED
    if name == UNTRACKED:
        return None
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        messages.note(f"{name} is not installed, so nothing is reported to it: pip install {name}")
        return None
    group = plan.goal.title.removeprefix("table ")
    return Tracking(name=name, offline=request.offline, group=group)


@contextlib.contextmanager
def tracked(
    tracking: Tracking | None,
    recipe: Mapping[str, Any],
    store: Store,
    jobs: Sequence[Task | Piece | Divided],
    view: View,
) -> Iterator[View]:
    """Yield a view that hands curves and pictures to a tracker, and passes everything else on.

    Args:
        tracking: names the tracker; None: there is none.
        recipe: the config of the run, as plain values.
        store: of the artifacts.
        jobs: what is made.
        view: receives everything else.
    """
    if tracking is None:
        yield view
        return
    reporter = Reporter(tracking, recipe, store, {job.title: task_of(job) for job in jobs})
    try:
        yield TrackedView(view, reporter)
    except BaseException:
        reporter.close(SHORT_PATIENCE_S)
        raise
    reporter.close(PATIENCE_S)


class TrackedView:
    """A view whose reports a tracker receives too."""

    def __init__(self, view: View, reporter: Reporter) -> None:
        self._view, self._reporter = view, reporter

    def begin(self, title: str) -> None:
        """See `View`."""
        self._view.begin(title)
        self._reporter.print_notes()

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        if event.values:
            self._reporter.point(title, event.step, event.values)
        else:
            self._view.event(title, event)
        self._reporter.print_notes()

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self._view.end(title, seconds)
        self._reporter.end(title)
        self._reporter.print_notes()

    def close(self) -> None:
        """See `View`."""
        self._view.close()


class Reporter:
    """The thread of a tracker.

    Args:
        tracking: names it.
        recipe: the config of the run.
        store: of the artifacts.
        tasks: what is made, by the titles of its jobs.
    """

    def __init__(
        self, tracking: Tracking, recipe: Mapping[str, Any], store: Store, tasks: Mapping[str, Task]
    ) -> None:
        self._tracking, self._recipe, self._store, self._tasks = tracking, recipe, store, tasks
        self._tracker: Tracker | None = None
        self._runs: dict[str, _Unfinished] = {}
        self._broken = False
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def point(self, title: str, step: int, values: Mapping[str, float]) -> None:
        """Report values of an artifact's curves."""
        self._call(lambda: self._run(title).log(step, values))

    def end(self, title: str) -> None:
        """Report the pictures of a finished artifact, and complete its run."""
        self._call(lambda: self._end(title))

    def close(self, patience_s: float) -> None:
        """Wait until everything is reported, but not longer than this."""
        self._calls.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._note(f"still busy {patience_s:g} s after the end of the run, and left alone")
        self.print_notes()

    def print_notes(self) -> None:
        """Print what the tracker reports; called by the thread that prints everything else."""
        while not self._notes.empty():
            messages.note(self._notes.get())

    def _note(self, text: str) -> None:
        self._notes.put(f"{self._tracking.name}: {text}")

    def _call(self, call: Callable[[], None]) -> None:
        if not self._broken:
            self._calls.put(call)

    def _work(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                call()
            for run in self._runs.values():
                run.close()
            if self._tracker is None:
                self._note("nothing that was made has curves or pictures")
        except Exception as error:  # whatever a library raises
            self._broken = True
            reason = cut(f"{type(error).__name__}: {error}".replace("\n", " "), LONGEST)
            self._note(f"the run goes on without it, because it failed: {reason}")

    def _run(self, title: str) -> _Unfinished:
        if title not in self._runs:
            folder = self._store.root / LOGS
            if self._tracker is None:
                module = plugins.load(TRACKERS, self._tracking.name)
                self._tracker = module.open_tracker(folder, self._tracking.offline)
                self._note(self._tracker.where)
            task = self._tasks[title]
            file = folder / UNFINISHED / f"{task.key}-{self._tracking.name}.json"
            group = self._tracking.group
            self._runs[title] = _Unfinished(self._tracker, task, group, self._recipe, file)
        return self._runs[title]

    def _end(self, title: str) -> None:
        task = self._tasks[title]
        made = _pictures(self._store.folder(task)) if self._store.has(task) else {}
        for name, path in made.items():
            self._run(title).picture(name, path)
        if title in self._runs:
            self._runs.pop(title).finish()


class _Unfinished:
    """The run of an artifact, and the file from which one that was interrupted is continued."""

    def __init__(
        self, tracker: Tracker, task: Task, group: str, recipe: Mapping[str, Any], file: Path
    ) -> None:
        found: Mapping[str, Any] = json_files.read_object(file) if file.is_file() else {}
        self._file, self._id = file, found.get("id", new_token()[:ID_LENGTH])
        self._steps: dict[str, int] = dict(found.get("steps", {}))
        facts = {name: value for name, value in task.facts.items() if isinstance(value, str | int | float)}
        run = Described(
            id=self._id,
            resumed=bool(found),
            title=task.title,
            group=group,
            stage=task.stage,
            config={"artifact": task.name, "facts": facts, "recipe": dict(recipe)},
        )
        self._run: TrackedRun = tracker.begin(run)
        self._save()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add what was not reported before the interruption; computed again, it is the same."""
        new = {name: value for name, value in values.items() if step > self._steps.get(name, 0)}
        if new:
            self._steps |= dict.fromkeys(new, step)
            self._save()
            self._run.log(step, new)

    def picture(self, name: str, path: Path) -> None:
        self._run.picture(name, path, max(self._steps.values(), default=0))

    def close(self) -> None:
        self._run.close()

    def finish(self) -> None:
        """Complete the run of a finished artifact."""
        self._run.close()
        self._file.unlink(missing_ok=True)

    def _save(self) -> None:
        text = json.dumps({"id": self._id, "steps": self._steps})
        write_utf8(self._file, text + "\n", flushed=False)


def _pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures of a finished artifact by name: distilled images, samples of a fine-tuning."""
    samples = {path.stem: path for path in folder.glob("validation/*.png")}
    found = {"images": folder / distilled.SHEET, **samples}
    return {name: path for name, path in found.items() if path.is_file()}
