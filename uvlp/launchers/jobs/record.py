"""The record of a run's jobs in the store, by which the same command attaches to them again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.leases import lease
from uvlp.core.files.leases.host import Process
from uvlp.core.files.writing import write_utf8

FOLDER = "launched"
"""Folder of a store with one folder per run."""
FILE = "jobs.json"
LEASE = "submitting.lease"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One submitted job.

    Attributes:
        id: its number in the cluster, ``"12"`` or ``"12_3"`` for an element of an array.
        name: of its order and outcome (`Group.name`).
        title: for messages.
        tasks: keys of its artifacts, or of parts of them.
        memory_gb: requested memory; 0: the cluster's default, or an argument of the user's own.
    """

    id: str
    name: str
    title: str
    tasks: tuple[str, ...]
    memory_gb: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the file of a run contains: its version, and the attributes of `Run`."""

    format: int
    jobs: tuple[JobRecord, ...]
    memory_gb: dict[str, int]
    timeouts: dict[str, int]


@dataclass(slots=True)
class Run:
    """A run in a store.

    Attributes:
        folder: its folder.
        jobs: those that were submitted.
        memory_gb: by key, what tasks of jobs that ran out of memory get.
        timeouts: by key, how often jobs of a task ended at their time limit without a warning.
    """

    folder: Path
    jobs: list[JobRecord] = field(default_factory=list)
    memory_gb: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)
    _alone: bool = False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process of the same command change the record, and read what it changed before.

        Raises:
            UvlpError: see `open_run`.
        """
        if self._alone:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with lease.acquire(self.folder / LEASE, self._waits):
            found = _content(self.folder)
            if found is not None:
                self.jobs, self.memory_gb, self.timeouts = list(found.jobs), found.memory_gb, found.timeouts
            self._alone = True
            try:
                yield
            finally:
                self._alone = False

    def _waits(self, holder: Process | None) -> None:
        there = f" on {holder.host}" if holder is not None else ""
        messages.note(f"waiting: another uvlp process{there} submits the jobs of the run {self.folder.name}")

    def save(self) -> None:
        """Write the record."""
        content = Content(
            format=FORMAT, jobs=tuple(self.jobs), memory_gb=self.memory_gb, timeouts=self.timeouts
        )
        write_utf8(self.folder / FILE, json.dumps(asdict(content), indent=1, ensure_ascii=False) + "\n")

    def add(self, jobs: Iterable[JobRecord]) -> None:
        """Record jobs in place of earlier ones of the same name."""
        new = list(jobs)
        names = {job.name for job in new}
        self.jobs = [*(job for job in self.jobs if job.name not in names), *new]
        self.save()

    def forget(self, job: JobRecord) -> None:
        """Remove a job that ended."""
        self.jobs = [each for each in self.jobs if each != job]
        self.save()

    def out_of_memory(self, job: JobRecord) -> None:
        """Double the memory of a job's tasks, for the next call."""
        with self.alone():
            self.memory_gb |= dict.fromkeys(job.tasks, 2 * job.memory_gb)
            self.save()

    def timeouts_of(self, job: JobRecord) -> int:
        """Return how often jobs of its tasks ended at their time limit."""
        return max((self.timeouts.get(key, 0) for key in job.tasks), default=0)

    def timed_out(self, job: JobRecord) -> int:
        """Count that a job ended at its time limit, and return how often its tasks have."""
        count = 1 + self.timeouts_of(job)
        self.timeouts |= dict.fromkeys(job.tasks, count)
        self.save()
        return count

    def memory_of(self, tasks: Sequence[str], usual_gb: int) -> int:
        """Return the memory for a job of these tasks."""
        return max([usual_gb, *(self.memory_gb.get(task, 0) for task in tasks)])


def open_run(root: Path, name: str) -> Run:
    """Return the record of a run in a store, new or from an earlier call.

    Raises:
        UvlpError: it is damaged, or of another version of UVLP.
    """
    run = Run(root / FOLDER / name)
    found = _content(run.folder)
    return run if found is None else Run(run.folder, list(found.jobs), found.memory_gb, found.timeouts)


def _content(folder: Path) -> Content | None:
    """Return what the file in the folder of a run contains; None if there is none."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        content = json_files.build(Content, json_files.parse(file.read_bytes()))
        if content.format != FORMAT:
            raise ValueError(f"format {content.format} instead of {FORMAT}")
    except ValueError as error:
        names = f"uvlp-{folder.name[:8]}-..."
        fix = f"cancel its jobs, `scancel -n` with their names in squeue, {names}, and delete it"
        raise UvlpError(f"the record of a run's jobs is damaged: {error}", got=str(file), fix=fix) from error
    return content


def find_run(root: Path, name: str) -> Run:
    """Return the record of a run by its name or the start of it.

    Raises:
        UvlpError: there is none, or several.
    """
    folder = root / FOLDER
    names = sorted(path.parent.name for path in folder.glob(f"*/{FILE}")) if folder.is_dir() else []
    chosen = [each for each in names if name and each.startswith(name)]
    if len(chosen) != 1:
        allowed = ", ".join(names) or f"none: no run of {root} was submitted to a cluster"
        what = "several runs have this name" if chosen else "no run has this name"
        raise UvlpError(what, got=name, allowed=allowed)
    return open_run(root, chosen[0])
