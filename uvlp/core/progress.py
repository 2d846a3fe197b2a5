"""Progress reports of a stage, separate from how they are shown (see ``core/display``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TypeVar

from uvlp.core.display import messages

T = TypeVar("T")

REPORT_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Event:
    """One report: ``done`` of ``total`` steps of ``label``, or a ``message`` for the user.

    Attributes:
        twice_s: seconds of work that another process had also done, and finished first.
        device: name of the device on which the work is done.
        failure: traceback of the error that ended the work.
    """

    label: str
    done: int = 0
    total: int = 0
    message: str = ""
    twice_s: float = 0.0
    device: str = ""
    failure: str = ""


def _drop(_: Event) -> None:
    return None


class Progress:
    """Handed to every stage, method hook and training loop.

    Args:
        send: receives each event; the default drops it (library use and tests).
        label: what is being computed, e.g. ``"finetune diffuser"``.
    """

    def __init__(self, send: Callable[[Event], None] = _drop, label: str = "") -> None:
        self._send, self.label = send, label
        self._last = 0.0

    def track(self, items: Iterable[T], what: str = "", total: int | None = None) -> Iterator[T]:
        """Yield ``items`` and report how many are done, at most five times a second."""
        label = self._of(what)
        total = total if total is not None else len(items) if isinstance(items, Sized) else 0
        last = 0.0
        for done, item in enumerate(items):
            if time.monotonic() - last >= REPORT_EVERY_S:
                last = time.monotonic()
                self._send(Event(label, done, total))
            yield item
        self._send(Event(label, total, total))

    def _of(self, what: str) -> str:
        return ", ".join(filter(None, (self.label, what)))

    def at(self, done: int, total: int, what: str = "") -> None:
        """Report progress outside `track`, e.g. the bytes of a transfer."""
        if done >= total or time.monotonic() - self._last >= REPORT_EVERY_S:
            self._last = time.monotonic()
            self._send(Event(self._of(what), done, total))

    def log(self, text: str) -> None:
        """Report one line that every view shows, e.g. a warning with a count."""
        self._send(Event(self.label, message=text))

    def on(self, device: str) -> None:
        """Report the device on which the work is done."""
        self._send(Event(self.label, device=device))

    def failed(self, details: str) -> None:
        """Report the traceback of the error that ends the work."""
        self._send(Event(self.label, failure=details))

    def made_twice(self, seconds: float) -> None:
        """Report that another process finished the artifact first, and for how long this one worked on it."""
        text = (
            f"another uvlp process finished it first and its files are used: {seconds:.0f} s were spent twice"
        )
        self._send(Event(self.label, message=text, twice_s=seconds))


def print_message(event: Event) -> None:
    """Print an event's message on standard error where there is no view; counts are dropped."""
    if event.message:
        messages.note(f"{event.label}: {event.message}")
