"""What commands print fits terminals of 40 to 120 columns."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.cli.caption_forms import Call
from tests.pipeline.runs.test_journal import MODEL, TASKS, Silent
from tests.stored_tables import put_table
from uvlp.cli.app import app, main
from uvlp.core.display import views
from uvlp.core.progress import Event
from uvlp.pipeline.runs.journal import recorded

WIDTHS = (40, 60, 80, 120)
PLAN = ("--profile", "nano", "--dry-run")
CALLS = (
    *(("list", name) for name in ("methods", "datasets", "networks", "launchers", "tables")),
    ("table", "digits-ipc10", "--full"),
    ("table", "nette-idc"),
    ("doctor",),
    ("status",),
    ("verify",),
    ("explain", "random"),
    ("baseline", "list"),
    ("fetch", "imagenette", "--dry-run"),
    ("reproduce", "digits", "10", *PLAN, "--method", "random"),
    ("reproduce", "digits", "10", "--print-config", "--method", "random"),
    ("reproduce", "digits"),
    ("reproduce", "digits", "10", "--method", "uvpl"),
    ("evaluate", "nothing-here", "--dataset", "digits"),
)


def too_long(text: str, width: int) -> list[str]:
    """Return lines that could have been broken: those of more than one long word."""
    found = []
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        longest = max(map(len, line.split()), default=0)
        if len(line) > width and not (line.split()[:1] == ["log:"] or indent + longest >= width):
            found.append(line)
    return found


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store with a table, and a run that failed."""
    root = tmp_path / "store"
    put_table(root)
    with recorded(root, TASKS, 2, {}, "uvlp reproduce digits 10 --method random,uvlp", Silent()) as view:
        view.begin(MODEL.title)
        view.event(MODEL.title, Event(MODEL.title, message="a message that is longer than forty columns are"))
        view.event(
            MODEL.title, Event(MODEL.title, failure="Traceback: ...\nValueError: a long reason " + "x " * 40)
        )
    return root


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.usefixtures("filled")
def test_output_fits(width: int, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for words in CALLS:
        code, out, errors = call(*words)
        assert (out or errors) and code in (0, 2), (words, errors)
        assert not too_long(out + errors, width), words


@pytest.mark.parametrize("width", WIDTHS)
def test_help_fits(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    root: Any = get_command(app)
    pages = [()] + [
        tuple(f"{name} {inner}".split())
        for name, command in root.commands.items()
        for inner in ("", *getattr(command, "commands", ()))
    ]
    assert len(pages) > 25
    for words in pages:
        monkeypatch.setattr(sys, "argv", ["uvlp", *words, "--help"])
        with pytest.raises(SystemExit) as end:
            main()
        out = capsys.readouterr().out.replace("python -m pytest.", "")  # a program's own name is one word
        assert not end.value.code and out and not too_long(out, min(width, 80)), words


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_fit(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    title = "random scored by convnet-3, seed 0, repeat 1 of a name that is long"
    view = views.view(1)
    view.begin(title)
    view.event(title, Event(title, 1, 2, ""))
    view.event(title, Event(title, message="a message of several words, which has to be wrapped"))
    view.close()
    text = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", capsys.readouterr().err.replace("\r", "\n"))
    assert "1/2" in text and not [line for line in text.split("\n") if len(line) > width]


def test_programs_get_whole_lines(call: Call, filled: Path) -> None:
    """Without a terminal, and without $COLUMNS, nothing is wrapped."""
    assert "| method | convnet-3 best |" in call("table", "digits-ipc10")[1]
    errors = call("reproduce", "digits", "10", "--method", "uvpl")[2]
    assert errors.count("\n") == 1 and len(errors) > 100
