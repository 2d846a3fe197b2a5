"""Runs of requests that print nothing, and report where they are asked to."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from uvlp.api.keywords import ProgressOption
from uvlp.artifacts.store import Store
from uvlp.core import streams
from uvlp.core.display import messages, views
from uvlp.core.display.log import kept
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.progress import Event
from uvlp.exchange.scoring import scored
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.requests import carry_out
from uvlp.pipeline.requests.resolve import resolve, store_at
from uvlp.recipes.requests.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A finished run: its plan, its store, and what was noted on the way."""

    plan: Plan
    store: Store
    notes: tuple[str, ...]


def run(asked: Callable[[], Request], until: str, progress: ProgressOption) -> Ran:
    """Carry out the request that ``asked`` returns, up to a stage.

    Raises:
        UvlpError: as the command line; also for errors of the operating system.
        WorkerFailed: a stage failed unexpectedly.
    """
    notes: list[str] = []
    with _logged(), _heard(progress, notes), _explained(), _environment_kept():
        request = asked()
        store, collect = store_at(request.store), None
        if request.images:
            recipe, collect = scored(request, store, fetch=True, offline=request.offline)
        else:
            recipe = resolve(request)
        checked = carry_out.checked(request, recipe)
        plan = carry_out.planned(request, checked, store, until, collect)
        plan = carry_out.completed(plan, request, checked, store, collect)
        carry_out.made(plan, store, request)
    return Ran(plan=plan, store=store, notes=tuple(notes))


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Keep a log of the run in its store; the traceback of an error names it."""
    with kept() as log:
        try:
            yield
        except Exception as error:
            messages.record("error", "".join(traceback.format_exception(error)))
            if log.path is not None:
                error.add_note(f"log: {log.path}")
            raise


@contextlib.contextmanager
def _heard(progress: ProgressOption, notes: list[str]) -> Iterator[None]:
    """Collect what would be printed, and report it as ``progress`` says."""
    if progress is True:
        yield
        return

    def send(event: Event) -> None:
        if callable(progress):
            progress(event)

    def note(line: str) -> None:
        text = line.removeprefix("note ").strip()
        notes.append(text)
        send(Event("", message=text))

    with streams.notes_to(note), views.reports_to(send):
        yield


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn errors of the operating system into one clear line."""
    try:
        yield
    except OSError as error:
        explained = as_uvlp_error(error)
        if explained is None:
            raise
        raise explained from error


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Restore the variables of this process, of which a portable run changes some for its workers."""
    before = dict(os.environ)
    try:
        yield
    finally:
        if dict(os.environ) != before:
            os.environ.clear()
            os.environ.update(before)
