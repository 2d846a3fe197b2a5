"""Submission of a run's tasks: groups become jobs and arrays, as far as the cluster takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from uvlp.core import interrupts
from uvlp.core.display import messages
from uvlp.core.hashing import digest
from uvlp.declarations.launcher import Job, Launch
from uvlp.launchers.jobs import limits, order, outcome, queue, sbatch
from uvlp.launchers.jobs.grouping import NAME_LENGTH, Group, group
from uvlp.launchers.jobs.order import Limits
from uvlp.launchers.jobs.precedence import started_before
from uvlp.launchers.jobs.record import JobRecord, Run
from uvlp.launchers.jobs.sbatch import Batch, SubmitLimit
from uvlp.launchers.jobs.settings import Settings

MOST_SHOWN = 1000
"""Elements of an array in a dry run, which asks no cluster; Slurm's own default."""


@dataclass(slots=True)
class Submission:
    """The jobs of a run that are not submitted yet.

    Attributes:
        work: what is to be made.
        run: receives the submitted jobs.
        settings: those of the launcher.
        least_s: shorter tasks share a job.
    """

    work: Launch
    run: Run
    settings: Settings
    least_s: float
    _groups: list[Group] | None = None
    _first: dict[str, frozenset[str]] = field(default_factory=dict)
    _job_of: dict[str, str] = field(default_factory=dict)
    _arrays: dict[str, list[str]] = field(default_factory=dict)
    _alive: set[str] = field(default_factory=set)
    _probe: str = ""
    _largest: int = 0
    _waiting: int = 0
    _probes: bool = False

    @property
    def left(self) -> int:
        """Number of jobs that are not submitted."""
        return len(self._groups or ())

    def groups(self, apart: Iterable[str] = ()) -> list[Group]:
        """Return the jobs of all tasks but those with the keys ``apart``."""
        groups = group(self.work.jobs, self.work.seconds, self.least_s, apart, self._cards)
        self._first = started_before(groups, self.gpus_of, max(1, self.settings.gpus))
        return groups

    def most_timeouts(self, job: JobRecord) -> int:
        """Return how often a job may reach its time limit."""
        return sbatch.most_timeouts(sum(self.work.seconds.get(key, 0.0) for key in job.tasks), self.settings)

    def reopen(self, live: Iterable[JobRecord], done: Iterable[str]) -> None:
        """Group the tasks that no live job makes again, but those with the keys ``done``."""
        self._job_of = {key: job.id for job in live for key in job.tasks}
        self._groups = self.groups({*self._job_of, *done})

    def submit(self, live: Iterable[JobRecord]) -> Iterator[JobRecord]:
        """Submit jobs, first ones first, until all are submitted or the cluster takes no more.

        Args:
            live: jobs that make other tasks of the run.

        Raises:
            UvlpError: the cluster refuses a job.
        """
        attended = list(live)
        self._alive = {job.id for job in attended}
        if self._groups is None:
            for job in attended:
                self._job_of |= dict.fromkeys(job.tasks, job.id)
            self._groups = self.groups(self._job_of)
            self._probes = len(self._groups) > 1
        self._largest = self._largest or queue.largest_array()
        try:
            if self._probes:
                yield from self._submit_probe(attended)
                self._probes = False
            yield from self._submit_groups(self._largest)
        except SubmitLimit as limit:
            if self.left != self._waiting:
                messages.note(f"jobs wait for room in the queue ({self.left}): {limit}")
            self._waiting = self.left

    def _submit_groups(self, largest: int) -> Iterator[JobRecord]:
        """Submit arrays of at most ``largest`` jobs, and of fewer where there is no room for so many.

        Raises:
            SubmitLimit: there is no room for one more job.
        """
        while self._groups:
            for batch, groups in self._ready(self._groups, largest):
                try:
                    yield from self._submit(batch, groups)
                except SubmitLimit:
                    if len(groups) == 1:
                        raise
                    largest = len(groups) // 2
                    break

    def _submit_probe(self, live: Iterable[JobRecord]) -> Iterator[JobRecord]:
        """Submit a job without tasks, before the others: it needs the store, and this version of UVLP."""
        name = "probe-" + digest([order.source_sha256(), repr(self.settings)])[:NAME_LENGTH]
        self._probe = next((job.id for job in live if job.name == name), "")
        if self._probe:
            return
        found = outcome.read(self.run.folder, name)
        if found is not None and found.state == outcome.DONE:
            return
        memory_gb = self.run.memory_of((), self.settings.memory_gb)
        gpus = self.settings.gpus if self.settings.cpu_partition else 0  # the nodes with most of the work
        batch = Batch(
            names=(name,), title=self._title("probe"), seconds=0.0, after=(), memory_gb=memory_gb, gpus=gpus
        )
        probe = Group(tasks=(), seconds=0.0, needs=frozenset())
        for job in self._submit(batch, [probe]):
            self._probe = job.id
            yield job

    def batches(self, groups: list[Group]) -> Iterator[Batch]:
        """Yield the batches of ``groups`` as they would be submitted, numbered from 1 on."""
        left, number = list(groups), 0
        while left:
            for batch, chunk in self._ready(left, MOST_SHOWN):
                number += 1
                elements = [f"{number}_{row}" for row in range(len(chunk))]
                self._number(elements if len(chunk) > 1 else [str(number)], chunk)
                left = [each for each in left if each not in chunk]
                yield batch

    def _number(self, numbers: list[str], groups: list[Group]) -> None:
        """Note the numbers of jobs, on which others may depend."""
        self._arrays[numbers[0].partition("_")[0]] = numbers
        self._alive |= set(numbers)
        for number, each in zip(numbers, groups, strict=True):
            self._job_of |= {task.key: number for task in each.tasks}

    def _ready(self, left: list[Group], largest: int) -> list[tuple[Batch, list[Group]]]:
        """Return the groups whose inputs are submitted, equal ones together."""
        unsubmitted = {task.key for each in left for task in each.tasks}
        equal: dict[tuple[object, ...], list[Group]] = {}
        for each in left:
            if not (each.needs | self._first.get(each.name, frozenset())) & unsubmitted:
                kind = (
                    *(self._after(each), self._begun(each)),
                    *(self._memory_gb(each), self.gpus_of(each), each.tasks[0].stage),
                )
                equal.setdefault(kind, []).append(each)
        return [
            (self._batch(chunk), chunk)
            for groups in equal.values()
            for start in range(0, len(groups), largest)
            for chunk in [groups[start : start + largest]]
        ]

    def _after(self, each: Group) -> tuple[str, ...]:
        """Return the jobs to wait for; the cluster may have forgotten those that are done."""
        jobs = {self._job_of[key] for key in each.needs if key in self._job_of} | {self._probe}
        return sbatch.whole_arrays(jobs & self._alive, self._arrays)

    def _begun(self, each: Group) -> tuple[str, ...]:
        """Return the jobs that have to start before."""
        jobs = {self._job_of[key] for key in self._first.get(each.name, ()) if key in self._job_of}
        return sbatch.whole_arrays(jobs & self._alive, self._arrays)

    def _memory_gb(self, each: Group) -> int:
        return self.run.memory_of([task.key for task in each.tasks], self.settings.memory_gb)

    def _batch(self, groups: list[Group]) -> Batch:
        gpus = self.gpus_of(groups[0])
        return Batch(
            names=tuple(each.name for each in groups),
            title=self._title(groups[0].tasks[0].stage),
            seconds=max(each.seconds for each in groups),
            after=self._after(groups[0]),
            begun=self._begun(groups[0]),
            memory_gb=self._memory_gb(groups[0]),
            gpus=gpus,
            nodes=limits.nodes_of(gpus, self.settings),
        )

    def card_seconds(self, groups: Iterable[Group]) -> float:
        """Return the estimated time of jobs multiplied by their GPUs."""
        return sum(each.seconds * self.gpus_of(each) for each in groups)

    def processor_seconds(self, groups: Iterable[Group]) -> float:
        """Return the estimated time of jobs without a GPU."""
        return sum(each.seconds for each in groups if not self.gpus_of(each))

    def _cards(self, job: Job) -> int:
        return self.work.cards.get(job.key, 1)

    def gpus_of(self, each: Group) -> int:
        """Return the GPUs of a job: those of the settings, more for a task that takes several, or none."""
        most = max(map(self._cards, each.tasks))
        return max(self.settings.gpus, most) if self.settings.gpus and most else 0

    def _title(self, what: str) -> str:
        return f"{queue.TITLE}-{self.work.name[:8]}-{what}"

    def _submit(self, batch: Batch, groups: list[Group]) -> list[JobRecord]:
        """Submit one batch, and record its jobs at once."""
        folder = self.run.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in batch.names:
            for file in (outcome.path(folder, name), order.left_file(folder, name)):
                file.unlink(missing_ok=True)
        told = Limits(
            minutes=self.settings.time_minutes,
            timeouts=sbatch.most_timeouts(batch.seconds, self.settings),
            masked=self.settings.gpus > 0 and not batch.gpus,
            staged=self.settings.stage,
        )
        jobs_of = {name: each.tasks for name, each in zip(batch.names, groups, strict=True)}
        written = order.write(folder, jobs_of, self.work.make, self.work.workers, told)
        asks = "mem" in sbatch.arguments(self.settings, batch)
        with interrupts.held_back():  # a job that is submitted is also recorded
            numbers = sbatch.submit(folder, self.settings, batch, written)
            jobs = [
                JobRecord(
                    id=number,
                    name=name,
                    title=each.title if each.tasks else "probe",
                    tasks=tuple(task.key for task in each.tasks),
                    memory_gb=batch.memory_gb if asks else 0,
                )
                for number, name, each in zip(numbers, batch.names, groups, strict=True)
            ]
            self.run.add(jobs)
        self._number(numbers, groups)
        if self._groups is not None:
            self._groups = [each for each in self._groups if each not in groups]
        return jobs
