"""Plain lines without a terminal, bars on a terminal."""

import sys

import pytest

from uvlp.core.display import views
from uvlp.core.display.views import PlainView, TerminalView
from uvlp.core.progress import Event, Progress


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, in seconds; a test sets it."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    return clock


def test_plain_lines_count_finished_artifacts(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(total=2)
    view.begin("captions")
    view.event("captions", Event("captions", message="3 missing"))
    view.end("captions", 61.2)
    assert capsys.readouterr().err.splitlines() == [
        "begin  captions",
        "note   captions: 3 missing",
        "done   captions in 1 min 01 s  [1/2]",
    ]


def test_plain_lines_are_rare_and_show_the_time_left(
    capsys: pytest.CaptureFixture[str], now: list[float]
) -> None:
    view = PlainView(total=1)
    view.begin("images")
    for done in range(31):
        now[0] = float(done)
        view.event("images", Event("images", done, 30))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == ["       images: 15/30, about 15.0 s left", "       images: 30/30, about 0.0 s left"]


def test_time_left_uses_the_speed_of_this_run_and_part(
    capsys: pytest.CaptureFixture[str], now: list[float]
) -> None:
    view = PlainView(total=1)
    view.begin("model")
    for at, label, done in (
        (0, "latents", 0),
        (20, "latents", 2),
        (100, "updates", 500),
        (160, "updates", 506),
    ):
        now[0] = float(at)
        view.event("model", Event(label, done, 1000))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "       latents: 2/1000, about 2 h 46 min left",
        "       updates: 500/1000",  # resumed from there
        "       updates: 506/1000, about 1 h 22 min left",
    ]


def test_long_runs_print_few_lines(capsys: pytest.CaptureFixture[str], now: list[float]) -> None:
    view, days = PlainView(total=1), 5 * 86_400
    view.begin("captions")
    for done in range(0, days, 5):
        now[0] = float(done)
        view.event("captions", Event("captions", done, days))
    lines = capsys.readouterr().err.splitlines()
    assert 1000 < len(lines) < 2000 and lines[1] == "       captions: 15/432000, about 119 h 59 min left"


def test_terminal_shows_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    view = views.view(1)
    assert isinstance(view, TerminalView)
    title = "images of out[best]/a[/b]"  # the name of a folder is not markup
    view.begin(title)
    view.event(title, Event(title, 1, 2))
    view.event(title, Event(title, message="a message"))
    view.end(title, 2.0)
    view.close()
    shown = capsys.readouterr().err
    assert "a message" in shown and f"{title} in 2.0 s" in shown


def test_progress_yields_all_items_and_ends_at_the_total() -> None:
    events: list[Event] = []
    progress = Progress(events.append, "stage")
    assert list(progress.track([5, 6, 7], "step")) == [5, 6, 7]
    assert events[-1] == Event("stage, step", 3, 3)
