"""Display of progress: bars with the time left on a terminal, plain lines otherwise.

Everything goes to standard error, so that standard output contains only the result.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol

from uvlp.core.display import messages
from uvlp.core.display.width import columns
from uvlp.core.progress import Event

_report, _display = partial(messages.report, strict=True), partial(messages.display, strict=True)
"""A run whose progress nobody reads any more is stopped."""
USUAL_COLUMNS, WIDEST_BAR, NUMBERS = 80, 40, 22
"""Columns that are usual, and below which no bar is drawn; of a bar; of counts and the time left."""
PLAIN_EVERY_S, PLAIN_AT_MOST_S = 15.0, 300.0
"""Shortest and longest interval between two lines about an artifact; otherwise 1/60 of its time so far."""


class View(Protocol):
    """Receives the reports of the workers."""

    def begin(self, title: str) -> None:
        """Called when an artifact is started."""

    def event(self, title: str, event: Event) -> None:
        """Called with progress or a message from its stage."""

    def end(self, title: str, seconds: float) -> None:
        """Called when it is finished."""

    def close(self) -> None:
        """Called after the last report."""


def _duration(seconds: float) -> str:
    seconds_int = int(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds_int // 60} min {seconds_int % 60:02d} s"
    return f"{seconds_int // 3600} h {seconds_int // 60 % 60:02d} min"


def _told(title: str, event: Event, *, shown: bool = True) -> bool:
    """Report a message, a device or a failure; return whether it was one, and not progress."""
    if event.message and shown:
        _report("note", f"{title}: {event.message}")
    elif event.message:
        messages.record("note", f"{title}: {event.message}")
    if event.device and shown:
        _report("device", f"{title}: {event.device}", detail=True)
    elif event.device:
        messages.record("device", f"{title}: {event.device}")
    if event.failure:
        messages.record("failed", f"{title}: {event.failure}")
    return bool(event.message or event.device or event.failure)


class PlainView:
    """One line when an artifact begins or ends, and ever fewer lines in between, so that logs stay short."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._reported: dict[str, float] = {}
        self._first: dict[str, tuple[str, int, float]] = {}
        self._began: dict[str, float] = {}

    def begin(self, title: str) -> None:
        """See `View`."""
        self._began[title] = self._reported[title] = time.monotonic()
        _report("begin", title)

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        if _told(title, event):
            return
        now = time.monotonic()
        label, done, _ = self._first.get(title, ("", 0, 0.0))
        if label != event.label or event.done < done:
            self._first[title] = event.label, event.done, now
        pause = min(max(PLAIN_EVERY_S, (now - self._began[title]) / 60), PLAIN_AT_MOST_S)
        if event.total and now - self._reported[title] >= pause:
            self._reported[title] = now
            left = self._left(title, event, now)
            _display("", f"{event.label}: {event.done}/{event.total}{left}")

    def _left(self, title: str, event: Event, now: float) -> str:
        """Format the time left, from the speed since this part of the work began or resumed."""
        _, done, since = self._first[title]
        if event.done <= done:
            return ""
        left_s = (now - since) * (event.total - event.done) / (event.done - done)
        return f", about {_duration(left_s)} left"

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self.done += 1
        _report("done", f"{title} in {_duration(seconds)}  [{self.done}/{self.total}]")

    def close(self) -> None:
        """See `View`."""


class TerminalView:
    """A bar for the entire run and one for each artifact in progress."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        room = columns(sys.stderr) or USUAL_COLUMNS
        bar = min(room // 4, WIDEST_BAR) if room >= USUAL_COLUMNS else 0
        cut = Column(overflow="ellipsis", no_wrap=True, max_width=room - bar - NUMBERS)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=cut),  # titles contain folder names
            *([BarColumn(bar)] if bar else []),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bars.start()
        self._total = self._bars.add_task("artifacts", total=total)
        self._tasks: dict[str, Any] = {}

    def begin(self, title: str) -> None:
        """See `View`."""
        self._tasks[title] = self._bars.add_task(title, total=None)
        _report("begin", title, detail=True)

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        if _told(title, event):
            return
        bar = self._tasks[title]
        self._bars.update(bar, description=event.label, completed=event.done, total=event.total or None)

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self._bars.remove_task(self._tasks.pop(title))
        _report("done", f"{title} in {_duration(seconds)}")
        self._bars.advance(self._total)

    def close(self) -> None:
        """See `View`."""
        self._bars.stop()


class ReportingView:
    """Hands every report to a function: each artifact's own, and the count of all as ``artifacts``."""

    def __init__(self, total: int, send: Callable[[Event], None]) -> None:
        self._total, self._done, self._send = total, 0, send

    def begin(self, title: str) -> None:
        """See `View`."""
        messages.record("begin", title)
        self._send(Event(title))

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        _told(title, event, shown=False)
        self._send(event)

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self._done += 1
        messages.record("done", f"{title} in {_duration(seconds)}")
        self._send(Event("artifacts", self._done, self._total))

    def close(self) -> None:
        """See `View`."""


_listener: ContextVar[Callable[[Event], None] | None] = ContextVar("_listener", default=None)


@contextlib.contextmanager
def reports_to(send: Callable[[Event], None]) -> Iterator[None]:
    """Hand reports of runs that this thread starts inside the block to a function, in place of a display."""
    token = _listener.set(send)
    try:
        yield
    finally:
        _listener.reset(token)


def view(total: int) -> View:
    """Return the view for this standard error, for a run of ``total`` artifacts."""
    send = _listener.get()
    if send is not None:
        return ReportingView(total, send)
    bars = sys.stderr.isatty() and not messages.are_quiet()
    return TerminalView(total) if bars else PlainView(total)
