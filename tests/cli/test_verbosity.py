"""`-v` and `-q`: what a command prints beside its result."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.cli.caption_forms import Call
from uvlp.cli.app import app
from uvlp.core.display import messages
from uvlp.core.display.views import View
from uvlp.core.errors import WorkerFailed
from uvlp.core.progress import Event
from uvlp.core.scheduling import workers

RUN = ("synthesise", "digits", "2", "--method", "random", "--profile", "nano", "--workers", "1")
RUNS_NOTHING = {"list", "status", "explain", "doctor", "cancel"}
"""Commands that only look."""


@pytest.fixture
def on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers report, and make nothing."""

    def run(jobs: Sequence[Any], make: object, *, view: View, **how: object) -> None:
        for job in jobs:
            view.begin(job.title)
            view.event(job.title, Event(job.title, device="a card"))
            view.end(job.title, 2.0)

    monkeypatch.setattr(workers, "run", run)


@pytest.mark.usefixtures("on_paper")
def test_what_is_printed(call: Call) -> None:
    code, out, errors = call(*RUN)
    assert code == 0 and out.startswith("Artifacts in ") and "begin  random images, seed 0\n" in errors
    assert "device" not in errors
    code, out, errors = call(*RUN, "-v")
    assert code == 0 and re.search(r"^\d\d:\d\d:\d\d device random images, seed 0: a card$", errors, re.M)
    code, out, errors = call(*RUN, "-q")
    assert (code, errors) == (0, "") and re.fullmatch(r"/.*/store/distilled/[0-9a-f]{16}\n", out)
    assert not messages.are_quiet(), "the next command prints again"


def test_errors_are_printed_in_any_case(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **how: object) -> None:
        raise WorkerFailed("a stage failed", "its traceback")

    monkeypatch.setattr(workers, "run", fail)
    code, out, errors = call(*RUN, "--quiet")
    assert (code, out) == (1, "")
    first, second = errors.splitlines()
    assert first.startswith("uvlp: a stage failed") and second.startswith("log: ")
    text = Path(second.removeprefix("log: ")).read_text(encoding="utf-8")
    assert "its traceback" in text and "command: uvlp synthesise digits 2" in text
    assert call("status")[1].splitlines()[-1] == second
    assert json.loads(call("status", "--json")[1])["log"] == second.removeprefix("log: ")
    code, out, errors = call(*RUN, "-q", "-v")
    assert (code, out) == (2, "") and errors.startswith("uvlp: --verbose with --quiet")
    assert call(*RUN, "-q", "--workers", "x")[0] == 2 and not messages.are_quiet()


def test_every_command_that_runs_something_takes_them() -> None:
    root: Any = get_command(app)
    found = {}
    for name, command in root.commands.items():
        for path, each in getattr(command, "commands", {"": command}).items():
            found[f"{name} {path}".strip()] = {
                option for parameter in each.params for option in parameter.opts
            }
    assert len(found) > 20
    for name, options in found.items():
        assert ({"-v", "-q"} <= options) != (name.split()[-1] in RUNS_NOTHING), name
