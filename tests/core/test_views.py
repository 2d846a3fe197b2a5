"""What is printed where there is no terminal, and that a terminal gets bars."""

import sys

import pytest

from uvlp.core import views
from uvlp.core.progress import Event, Progress
from uvlp.core.views import PlainView, TerminalView


def test_plain_lines_count_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(total=2)
    view.begin("captions")
    view.event("captions", Event("captions", say="3 missing"))
    view.end("captions", 61.2)
    assert capsys.readouterr().err.splitlines() == [
        "begin  captions",
        "note   captions: 3 missing",
        "done   captions in 1 min 01 s  [1/2]",
    ]


def test_plain_lines_are_rare_and_tell_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    view = PlainView(total=1)
    view.begin("images")
    for done in range(1, 31):
        now[0] = float(done)
        view.event("images", Event("images", done, 30))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == ["       images: 15/30, about 15.0 s left", "       images: 30/30, about 0.0 s left"]


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    view = views.view(1)
    assert isinstance(view, TerminalView)
    title = "images of out[best]/a[/b]"  # a folder's name is no markup
    view.begin(title)
    view.event(title, Event(title, 1, 2))
    view.event(title, Event(title, say="a remark"))
    view.end(title, 2.0)
    view.close()
    shown = capsys.readouterr().err
    assert "a remark" in shown and f"{title} in 2.0 s" in shown


def test_progress_yields_everything_and_ends_at_the_total() -> None:
    events: list[Event] = []
    progress = Progress(events.append, "stage")
    assert list(progress.track([5, 6, 7], "step")) == [5, 6, 7]
    assert events[-1] == Event("stage step", 3, 3)
