"""Progress reports of a stage, separate from how they are shown (see ``core/display``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import SupportsFloat, TypeVar

from uvlp.core.display import messages

T = TypeVar("T")

REPORT_EVERY_S = 0.2
MOST_POINTS = 1000
"""Points of a curve, about: of longer trainings only every second step is reported, or fewer."""


@dataclass(frozen=True, slots=True)
class Event:
    """One report: ``done`` of ``total`` steps of ``label``, a ``message`` for the user, or points of curves.

    Attributes:
        twice_s: seconds of work that another process had also done, and finished first.
        device: name of the device on which the work is done.
        failure: traceback of the error that ended the work.
        step, values: values of curves at a step, by the names of the curves.
    """

    label: str
    done: int = 0
    total: int = 0
    message: str = ""
    twice_s: float = 0.0
    device: str = ""
    failure: str = ""
    step: int = 0
    values: Mapping[str, float] = field(default_factory=dict)


def _drop(_: Event) -> None:
    return None


class Progress:
    """Handed to every stage, method hook and training loop.

    Args:
        send: receives each event; the default drops it (library use and tests).
        label: what is being computed, e.g. ``"finetune diffuser"``.

    Attributes:
        curves: whether points of curves are sent; else they are not even read from a GPU.
    """

    def __init__(self, send: Callable[[Event], None] = _drop, label: str = "") -> None:
        self._send, self.label, self.curves = send, label, False
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

    def point(self, step: int, total: int, /, **values: SupportsFloat) -> None:
        """Report values of curves, e.g. ``loss=``, if a tracker receives them.

        Args:
            step: from 1 on.
            total: number of steps, of which at most about `MOST_POINTS` are reported; 0: this one is.
            values: numbers or scalar tensors, for which a GPU may have to be waited for.
        """
        every = -(-total // MOST_POINTS)
        if self.curves and (not every or step % every == 0 or step == total):
            numbers = {name: float(value) for name, value in values.items()}
            self._send(Event(self.label, step=step, values=numbers))

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
