"""What a tracker receives, also of a resumed run, and that a run goes on without one that fails or hangs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.pipeline.runs.test_journal import CAPTIONS, MODEL, SCORES, TASKS, Silent
from uvlp.artifacts import distilled
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core import plugins, streams
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event
from uvlp.pipeline.runs import tracking
from uvlp.pipeline.runs.tracker import Described
from uvlp.pipeline.runs.tracking import Tracking, tracked
from uvlp.recipes.requests.request import TRACKERS, Request

RECIPE = {"dataset": "digits", "evaluate": {"epochs": 2}}
TRACKING = Tracking(name="mine", offline=True, group="digits-ipc1")
SCORE = SCORES[0]


@dataclass
class Recorder:
    """A tracker and its runs, which keep what they receive."""

    where: str = "in memory"
    begun: list[Described] = field(default_factory=list)
    received: list[object] = field(default_factory=list)

    def begin(self, run: Described) -> Recorder:
        self.begun.append(run)
        return self

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.received.append((step, dict(values)))

    def picture(self, name: str, path: Path, step: int) -> None:
        self.received.append((name, path.read_bytes(), step))

    def close(self) -> None:
        self.received.append("closed")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The tracker that any name loads."""
    made = Recorder()
    module = SimpleNamespace(open_tracker=lambda folder, offline: made)
    monkeypatch.setattr(plugins, "load", lambda group, name: module)
    return made


def score(store: Store, *points: tuple[int, Mapping[str, float]], interrupted: bool = False) -> list[str]:
    """Report points of a training; return what is printed."""
    printed: list[str] = []
    with streams.notes_to(printed.append), tracked(TRACKING, RECIPE, store, TASKS, Silent()) as view:
        view.begin(SCORE.title)
        for step, values in points:
            view.event(SCORE.title, Event("score", step=step, values=values))
        if not interrupted:
            view.end(SCORE.title, 1.0)
    return printed


def test_a_tracker_receives_curves_and_the_recipe(recorder: Recorder, tmp_path: Path) -> None:
    printed = score(Store(tmp_path), (1, {"loss": 2.5}), (2, {"loss": 2.0}), (2, {"accuracy_pct": 50.0}))
    assert printed == ["note   mine: in memory"]
    assert recorder.received == [
        (1, {"loss": 2.5}),
        (2, {"loss": 2.0}),
        (2, {"accuracy_pct": 50.0}),
        "closed",
    ]
    [run] = recorder.begun
    assert (run.title, run.group, run.stage) == (SCORE.title, "digits-ipc1", "evaluate") and not run.resumed
    assert run.config == {"artifact": SCORE.name, "facts": {"seed": 0}, "recipe": RECIPE}
    assert run.name == f"score-0-{run.id}"


def test_a_resumed_run_is_continued_and_a_later_one_is_new(recorder: Recorder, tmp_path: Path) -> None:
    store = Store(tmp_path)
    score(store, (1, {"loss": 2.5}), (2, {"loss": 2.0}), interrupted=True)
    del recorder.received[:]
    score(store, (2, {"loss": 2.0}), (2, {"accuracy_pct": 50.0}), (3, {"loss": 1.5}))
    assert recorder.received == [(2, {"accuracy_pct": 50.0}), (3, {"loss": 1.5}), "closed"]
    score(store, (1, {"loss": 2.5}))
    first, second, third = recorder.begun
    assert (second.id, second.resumed) == (first.id, True)
    assert third.id != first.id and not third.resumed


def test_pictures_of_finished_artifacts_are_reported(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Task(kind=distilled.KIND, stage="synthesise", title="images", facts={"ipc": 1})
    store = Store(tmp_path)
    monkeypatch.setattr(store, "has", lambda task: task is images)
    store.folder(images).mkdir(parents=True)
    (store.folder(images) / distilled.SHEET).write_bytes(b"png")
    with tracked(TRACKING, RECIPE, store, (CAPTIONS, images), Silent()) as view:
        for title in ("captions", "images"):
            view.begin(title)
            view.end(title, 1.0)
    assert recorder.received == [("images", b"png", 0), "closed"]
    assert [run.title for run in recorder.begun] == ["images"]  # nothing is reported of captions


def test_a_tracker_that_fails_is_reported_once_and_the_run_goes_on(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(step: int, values: Mapping[str, float]) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(recorder, "log", fail)
    printed = score(Store(tmp_path), *((step, {"loss": 1.0}) for step in range(1, 50)))
    why = "the run goes on without it, because it failed: ConnectionError: no route to host"
    assert printed == ["note   mine: in memory", f"note   mine: {why}"]


def test_a_tracker_that_hangs_holds_up_the_end_for_a_while_only(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(recorder, "close", released.wait)
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.2)
    printed = score(Store(tmp_path), (1, {"loss": 1.0}))
    released.set()
    assert printed[-1] == "note   mine: still busy 0.2 s after the end of the run, and left alone"


def test_a_run_without_curves_says_so(recorder: Recorder, tmp_path: Path) -> None:
    printed: list[str] = []
    with (
        streams.notes_to(printed.append),
        tracked(TRACKING, RECIPE, Store(tmp_path), TASKS, Silent()) as view,
    ):
        view.begin(MODEL.title)
        view.end(MODEL.title, 1.0)
    assert printed == ["note   mine: nothing that was made has curves or pictures"]
    assert not recorder.begun


def test_a_tracker_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    printed: list[str] = []
    plan = SimpleNamespace(goal=Task(kind="tables", stage="tabulate", title="table digits"))
    with streams.notes_to(printed.append):
        found = [
            tracking.requested(Request(dataset="digits", report_to=name), plan)  # type: ignore[arg-type]
            for name in ("wandb", "none", None)
        ]
    assert found == [None] * 3
    assert printed == ["note   wandb is not installed, so nothing is reported to it: pip install wandb"]


def test_a_request_names_its_group_and_recipe() -> None:
    plan = SimpleNamespace(goal=Task(kind="tables", stage="tabulate", title="table digits"))
    request = Request(dataset="digits", report_to="tensorboard", offline=True)
    wanted = Tracking(name="tensorboard", offline=True, group="digits")
    assert tracking.requested(request, plan) == wanted  # type: ignore[arg-type]


def test_an_unknown_tracker_is_refused() -> None:
    assert plugins.names(TRACKERS) == ["tensorboard", "trackio", "wandb"]
    with pytest.raises(UvlpError) as caught:
        Request(dataset="digits", report_to="tensorbord")
    assert caught.value.what == "unknown tracker" and caught.value.got == "tensorbord"
    assert caught.value.allowed == "none, tensorboard, trackio, wandb"
    assert caught.value.fix == "did you mean 'tensorboard'?"
