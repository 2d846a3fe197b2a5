"""The declaration of a launcher, a file in `uvlp/launchers`: where the tasks of a run are computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from uvlp.artifacts.task import Task
from uvlp.core import plugins
from uvlp.core.plugins import Origin
from uvlp.core.scheduling import rule
from uvlp.declarations.reading import constant, flag, function, of_module, text
from uvlp.declarations.settings import NoSettings, settings

LOCAL = "local"
"""The launcher of a run that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """A launcher as requested, with its settings; ``detach``: return when all jobs are submitted."""

    name: str = LOCAL
    settings: Any = field(default_factory=NoSettings)
    detach: bool = False


HERE = Launcher()


class Job(rule.Job, Protocol):
    """A task, or one of the jobs among which it is divided; the last of those has the task's key."""

    @property
    def stage(self) -> str:
        """What makes it; jobs of one stage take similar times."""


@dataclass(frozen=True)
class Make(ABC):
    """Makes jobs on worker processes of the machine that calls it.

    It is written to a file for other machines, as are the jobs: fields of it, and of the settings of tasks,
    are plain values, paths, lists, tuples, mappings and dataclasses.

    Attributes:
        root: the store.
    """

    root: Path

    @abstractmethod
    def __call__(self, jobs: Sequence[Any], workers: int | None) -> None:
        """Make jobs, but no finished ones; ``workers``: as many as suit the machine if None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The work of one call, handed to a launcher.

    Attributes:
        name: key of the last artifact of the chain; the same command has the same name.
        root: the store.
        tasks: the missing artifacts, in an order in which they could be made one by one.
        jobs: the same, with those that several jobs can share divided; see `part_minutes`.
        seconds: estimated time of each job by its key; 0 if it is unknown.
        cards: number of cards of each job by its key, 0 for one that computes on the processor; one card for
            those that are missing.
        make: ``make(jobs, workers)`` makes jobs on the machine that calls it.
        workers: requested number of worker processes; None: any.
        detach: return when the work is submitted, instead of when it is done.
    """

    name: str
    root: Path
    tasks: Sequence[Task]
    jobs: Sequence[Job]
    seconds: Mapping[str, float]
    make: Make
    cards: Mapping[str, int] = field(default_factory=dict)
    workers: int | None = None
    detach: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A job of a run, as `uvlp status` shows it.

    Attributes:
        tasks: keys of its artifacts, or of parts of them.
        state: "waiting", "running", "done", "failed", "stopped", or "unknown" where no cluster answers.
        error: why it failed.
        reason: in the cluster's words why it waits, if not for its turn.
        log: what it printed.
    """

    tasks: tuple[str, ...]
    state: str
    error: str = ""
    reason: str = ""
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherDeclaration:
    """A launcher.

    Attributes:
        origin: package and file of the plug-in.
        title: what computes the tasks.
        remote: whether that is another machine. The one that plans then needs no GPU.
        settings: class of its settings, ``--set launcher.NAME=VALUE``.
        card: ``card(settings)``: the card (`estimates/cards.py`) for time estimates; "": this machine.
        part_minutes: ``part_minutes(settings)``: least time of a part of a divided task; 0: no parts.
        archives: ``archives(settings)``: whether its machines read images from archives (`datasets/staging`),
            which a first job writes and they copy to their own disk.
        launch: ``launch(work, settings)``: makes the tasks of a `Launch`, or submits them.
        check: ``check(settings)`` raises `UvlpError` for settings that cannot work, before a run is planned.
        lines: ``lines(work, settings)``: the lines that a dry run adds about the jobs.
        cancel: ``cancel(root, name)``: cancels the jobs of the run ``name`` in a store; returns their number.
        submitted: ``submitted(root, name)``: the jobs of that run. As for ``cancel``, the start of the name
            of a `Launch` is enough.
    """

    origin: Origin
    title: str = constant("a text", text)
    remote: bool = constant("True or False", flag, False)
    settings: type[Any] = settings()
    card: Callable[[Any], str] = function("card", "settings", lambda settings: "")
    part_minutes: Callable[[Any], int] = function("part_minutes", "settings", lambda settings: 0)
    archives: Callable[[Any], bool] = function("archives", "settings", lambda settings: False)
    launch: Callable[[Launch, Any], None] = function("launch", "work, settings")
    check: Callable[[Any], None] | None = function("check", "settings", None)
    lines: Callable[[Launch, Any], list[str]] | None = function("lines", "work, settings", None)
    cancel: Callable[[Path, str], int] | None = function("cancel", "root, name", None)
    submitted: Callable[[Path, str], list[Submitted]] | None = function("submitted", "root, name", None)


@cache
def declared_launcher(name: str) -> LauncherDeclaration:
    """The declaration of a launcher.

    Raises:
        UvlpError: an unknown name, or a field that is missing, invalid or misspelt.
    """
    return of_module(LauncherDeclaration, plugins.find("launchers", name))
