"""How much is printed of what happens, and what the log receives."""

import re
import sys

import pytest

from uvlp.core import streams
from uvlp.core.display import messages, views
from uvlp.core.display.views import PlainView
from uvlp.core.progress import Event

TITLE = "images of out[best]"


def run_of_one() -> None:
    view = views.view(1)
    view.begin(TITLE)
    view.event(TITLE, Event(TITLE, device="CPU"))
    view.event(TITLE, Event(TITLE, message="3 are missing"))
    view.event(TITLE, Event(TITLE, failure="Traceback"))
    view.end(TITLE, 2.0)
    view.close()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("much", "plain", "bars"),
    [
        (messages.QUIET, [], []),
        (messages.USUAL, ["begin", "note", "done"], ["note", "done"]),
        (messages.VERBOSE, ["begin", "device", "note", "done"], ["begin", "device", "note", "done"]),
    ],
)
def test_as_much_is_printed_as_is_wanted_and_all_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
    much: int,
    plain: list[str],
    bars: list[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    logged: list[str] = []
    with messages.printed(much), messages.recorded_by(lambda kind, text: logged.append(kind)):
        run_of_one()
    text = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", capsys.readouterr().err.replace("\r", "\n"))
    kinds = re.findall(rf"^(?:\d\d:\d\d:\d\d )?(\w+) +{re.escape(TITLE)}", text, re.MULTILINE)
    assert kinds == (bars if terminal else plain), text
    assert logged == ["begin", "device", "note", "failed", "done"]
    assert bool(re.search(r"^\d\d:\d\d:\d\d done ", text, re.MULTILINE)) == (much == messages.VERBOSE)
    assert bool(text) == (much != messages.QUIET)


def test_no_bars_are_drawn_where_little_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with messages.printed(messages.QUIET):
        assert isinstance(views.view(1), PlainView)


def test_reports_to_a_function_are_logged_too() -> None:
    logged: list[str] = []
    got: list[Event] = []
    with messages.recorded_by(lambda kind, text: logged.append(kind)), views.reports_to(got.append):
        run_of_one()
    assert logged == ["begin", "device", "note", "failed", "done"]
    assert [event.done for event in got if event.label == "artifacts"] == [1]


def test_lines_are_wrapped_to_the_terminal_but_not_for_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "a line that has more words than forty columns can hold"
    monkeypatch.delenv("COLUMNS", raising=False)
    messages.note(text)
    assert capsys.readouterr().err == f"note   {text}\n"
    monkeypatch.setenv("COLUMNS", "40")
    messages.note(text)
    assert capsys.readouterr().err == (
        "note   a line that has more words than\n       forty columns can hold\n"
    )
    got: list[str] = []
    with streams.notes_to(got.append):
        messages.note(text)
    assert got == [f"note   {text}"]
