"""How progress is shown: bars with the time left on a terminal, plain lines otherwise.

Everything goes to standard error, so that standard output holds the result alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from uvlp.core.progress import Event

PLAIN_EVERY_S = 15.0


class View(Protocol):
    """Receives what the workers tell."""

    def begin(self, title: str) -> None:
        """An artifact is being made."""

    def event(self, title: str, event: Event) -> None:
        """Progress or a remark from the stage that makes it."""

    def end(self, title: str, seconds: float) -> None:
        """It is finished."""

    def close(self) -> None:
        """No more will come."""


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


class PlainView:
    """One line when something begins or ends, and every quarter minute in between."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._told: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def begin(self, title: str) -> None:
        """See `View`."""
        self._began[title] = self._told[title] = time.monotonic()
        self._print(f"begin  {title}")

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        if event.say:
            self._print(f"note   {title}: {event.say}")
        elif event.total and time.monotonic() - self._told[title] >= PLAIN_EVERY_S:
            self._told[title] = time.monotonic()
            left = _left(self._began[title], event)
            self._print(f"       {event.label}: {event.done}/{event.total}{left}")

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self.done += 1
        self._print(f"done   {title} in {_duration(seconds)}  [{self.done}/{self.total}]")

    def close(self) -> None:
        """See `View`."""


def _left(began: float, event: Event) -> str:
    if not event.done:
        return ""
    spent = time.monotonic() - began
    return f", about {_duration(spent * (event.total - event.done) / event.done)} left"


class TerminalView:
    """A bar for the whole run and one for each artifact that is being made."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),  # titles hold names of folders
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bars.start()
        self._whole = self._bars.add_task("artifacts", total=total)
        self._tasks: dict[str, Any] = {}

    def begin(self, title: str) -> None:
        """See `View`."""
        self._tasks[title] = self._bars.add_task(title, total=None)

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        if event.say:
            self._bars.console.print(f"{title}: {event.say}", highlight=False, markup=False)
            return
        bar = self._tasks[title]
        self._bars.update(bar, description=event.label, completed=event.done, total=event.total or None)

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self._bars.remove_task(self._tasks.pop(title))
        text = f"done {title} in {_duration(seconds)}"
        self._bars.console.print(text, highlight=False, markup=False)
        self._bars.advance(self._whole)

    def close(self) -> None:
        """See `View`."""
        self._bars.stop()


def view(total: int) -> View:
    """The view for this standard error, for ``total`` artifacts to be made."""
    return TerminalView(total) if sys.stderr.isatty() else PlainView(total)
