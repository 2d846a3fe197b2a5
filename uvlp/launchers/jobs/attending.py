"""A run on a cluster: what is missing is submitted and waited for; a later call attaches to its jobs."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from uvlp.artifacts.store import Store
from uvlp.core.display import messages
from uvlp.core.errors import Detached, Stopped, UvlpError
from uvlp.declarations.launcher import Launch
from uvlp.launchers.jobs import endings, outcome, queue
from uvlp.launchers.jobs.batches import Submission
from uvlp.launchers.jobs.grouping import needed
from uvlp.launchers.jobs.outcome import Outcome
from uvlp.launchers.jobs.progress import StageLines
from uvlp.launchers.jobs.record import JobRecord, Run
from uvlp.launchers.jobs.settings import Settings

LOOK_EVERY_S = 30.0
"""Interval of `squeue`, for all jobs together."""
READ_EVERY_S = 1.0
"""Interval of looking for outcome files of live jobs."""
GRACE_S = 45.0
"""How long a job that ended may lack an outcome file: a shared folder shows new files late."""


@dataclass(slots=True)
class Attendance:
    """The jobs of one call: those that live are attended, the rest is submitted.

    Attributes:
        work: what is to be made.
        run: the record of the run.
        submission: submits jobs.
        live: jobs by name that have not ended.
        states: of the last look into the queue.
        answers: whether the cluster answered then.
    """

    work: Launch
    run: Run
    submission: Submission
    live: dict[str, JobRecord] = field(default_factory=dict)
    states: dict[str, queue.State] = field(default_factory=dict)
    answers: bool = True
    _done: set[str] = field(default_factory=set)
    _looked: float = float("-inf")
    _ended: dict[str, float] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def attach(self) -> None:
        """Find the jobs of earlier calls that live, and note how the others ended.

        Raises:
            UvlpError: the cluster does not answer.
        """
        states = self.states = queue.states()
        self._known = {job.id for job in self.run.jobs}
        missing = {each.key for each in self.work.jobs}
        former = [job for job in self.run.jobs if not job.tasks or missing & set(job.tasks)]
        past = queue.past(job.id for job in former if job.id not in states)
        probed = True
        for job in former:
            state = states.get(job.id) or queue.State(past.get(job.id, queue.GONE))
            found = self._reported(job)
            # A preempted job has stopped, and is about to be queued again.
            if state.live and (found is None or found.state == outcome.STOPPED):
                self.live[job.name] = job
                continue
            endings.note(self.run, job, endings.ended_as(self.run, job, state.state, found), found)
            self.run.forget(job)
            if not job.tasks and (found is None or found.state != outcome.DONE):
                probed = False
        self._drop_orphans(probed)
        if self.live:
            messages.note(f"attached to {_jobs(len(self.live))} of the run {self.work.name}")

    def _reported(self, job: JobRecord) -> Outcome | None:
        """Return the outcome of a job of an earlier call; a damaged report is none."""
        try:
            return outcome.read(self.run.folder, job.name)
        except UvlpError as error:
            messages.note(error.what)
            return None

    def _drop_orphans(self, probed: bool = True) -> list[JobRecord]:
        """Cancel jobs that wait for a failed one, and return them: the cluster would do so a little later.

        Args:
            probed: whether the job that all others wait for has not failed.
        """
        needs = needed(self.work.jobs)
        dropped: list[JobRecord] = []
        while True:
            covered = self._done | {key for job in self.live.values() for key in job.tasks}
            orphans = [
                job
                for job in self.live.values()
                if not probed or any(needs[key] - covered for key in job.tasks if key in needs)
            ]
            if not orphans:
                return dropped
            queue.cancel(job.id for job in orphans)
            for job in orphans:
                del self.live[job.name]
            dropped += orphans

    def submit(self) -> None:
        """Submit what no live job makes, as far as the cluster takes it."""
        with self.run.alone():
            self._join_others()
            for job in self.submission.submit(self.live.values()):
                self.live[job.name] = job
                self._known.add(job.id)
                log = endings.log_path(self.run, job)
                messages.report("submit", f"{endings.describe(job)}, log: {log}", detail=True)

    def _join_others(self) -> None:
        """Attend what another process of the same command has submitted since this one last looked."""
        others = [job for job in self.run.jobs if job.id not in self._known]
        if others:
            kept = [job for job in self.live.values() if job in self.run.jobs]
            self.live = {job.name: job for job in (*kept, *others)}
            self._known |= {job.id for job in others}
            self.submission.reopen(self.live.values(), self._done)

    def detach(self) -> NoReturn:
        """Leave the jobs to the cluster.

        Raises:
            Detached: always; the line says how to attach again.
        """
        left = self.submission.left
        more = f"; {left} more are submitted when the command attaches, for want of room" if left else ""
        what = f"the run {self.work.name} goes on with {_jobs(len(self.live))}{more}"
        raise Detached(what, fix="re-run the command without --detach to attach")

    def wait(self) -> None:
        """Wait until all tasks are made.

        Raises:
            UvlpError: a job failed by a mistake of the user, was cancelled, or ran out of memory or time.
            WorkerFailed: a job failed unexpectedly.
            Stopped: this process was told to end; the jobs go on.
        """
        lines = StageLines(self.work.tasks, Store(self.work.root))
        with self.leaving():
            while True:
                self._read_outcomes()
                if not (self.live or self.submission.left):
                    break
                if time.monotonic() - self._looked >= LOOK_EVERY_S:
                    self._look()
                    lines.show(self.live.values(), self.states)
                    if self.submission.left:
                        self.submit()
                time.sleep(READ_EVERY_S)
        lines.show((), self.states)

    def _read_outcomes(self) -> None:
        """Take jobs that are done from the live ones; raise the error of one that failed."""
        for job in list(self.live.values()):
            found = outcome.read(self.run.folder, job.name)
            if found is None:
                continue
            if found.state == outcome.DONE:
                del self.live[job.name]
                self._done.update(job.tasks)
                messages.report("done", f"{endings.describe(job)} on {found.host}", detail=True)
            elif found.state != outcome.STOPPED:  # a preempted job is about to be queued again
                raise endings.failure(self.run, job, found)

    def _look(self) -> None:
        """Ask the cluster about all jobs at once, and raise the error of one that ended without a report."""
        self._looked = time.monotonic()
        try:
            states = queue.states()
        except queue.NoAnswer as error:
            if self.answers:
                messages.note(f"{error.what}; asking again" + (f": {error.got}" if error.got else ""))
            self.answers = False
            return
        self.answers = True
        self._report_begun(states)
        self.states = states
        past = queue.past(job.id for job in self.live.values() if job.id not in states)
        ended: dict[str, queue.State] = {}
        for name, job in self.live.items():
            state = states.get(job.id) or queue.State(past.get(job.id, queue.GONE))
            if state.live:
                self._ended.pop(name, None)
            else:
                ended[name] = state
        if ended:
            # Jobs that need a failed one are cancelled with it, or a little before it has ended.
            first = min(ended, key=lambda name: ended[name].state == endings.CANCELLED)
            since = self._ended.setdefault(first, self._looked)
            if endings.is_certain(ended[first]) or self._looked - since >= GRACE_S:
                self._read_outcomes()
                if first in self.live:
                    with self.run.alone():
                        self._without_report(self.live[first], ended[first])

    def _without_report(self, job: JobRecord, state: queue.State) -> None:
        """Submit a job that reached its time limit again, as often as its estimate allows.

        A cluster that warns jobs before queues them again itself. A job that waited for one that was done
        just after its limit is submitted again too.

        Raises:
            UvlpError: it did so too often, or ended in another way.
        """
        self._join_others()
        if job.name not in self.live or self.live[job.name] != job:
            return  # another process has submitted it again
        how = endings.ended_as(self.run, job, state.state, outcome.read(self.run.folder, job.name))
        most = self.submission.most_timeouts(job)
        if how == endings.TIMEOUT and self.run.timeouts_of(job) < most:
            count = self.run.timed_out(job)
            text = f"{endings.describe(job)} reached its time limit; submitting it again ({count} of {most})"
            messages.note(text)
        elif not state.reason.startswith(endings.DEPENDENCY) or not self._inputs_done(job):
            raise endings.without_report(self.run, job, how)
        del self.live[job.name]
        for each in (job, *self._drop_orphans()):
            self.run.forget(each)
        self.submission.reopen(self.live.values(), self._done)

    def _inputs_done(self, job: JobRecord) -> bool:
        needs = needed(self.work.jobs)
        return all(needs[key] <= self._done | set(job.tasks) for key in job.tasks if key in needs)

    def _report_begun(self, states: Mapping[str, queue.State]) -> None:
        """Report the jobs that began since the last look into the queue."""
        for job in self.live.values():
            before, now = self.states.get(job.id), states.get(job.id)
            if queue.runs(now) and not queue.runs(before):
                messages.report("begin", endings.describe(job), detail=True)

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """Let the jobs go on when this process is told to end, or ask on Ctrl-C.

        Raises:
            Stopped: it was.
        """
        with _ended_by(self.work.name, signal.SIGTERM, signal.SIGHUP):
            try:
                yield
            except KeyboardInterrupt:
                with _ended_by(self.work.name, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    self._interrupted()

    def _interrupted(self) -> NoReturn:
        """Ask once, on a terminal, whether the jobs go on."""
        answer = ""
        if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
            sys.stderr.write(
                f"\nThe run {self.work.name} has submitted {_jobs(len(self.live))}. Keep them? [Y/n] "
            )
            sys.stderr.flush()
            answer = sys.stdin.readline().strip().lower()
        if answer in ("n", "no"):
            count = queue.cancel({job.id for job in (*self.live.values(), *self.run.jobs)})
            raise Stopped(f"cancelled {_jobs(count)}", fix="re-run the command to resume")
        raise _goes_on(self.work.name)


def _goes_on(name: str) -> Stopped:
    fix = f"re-run the command to attach, or end them: uvlp cancel {name[:8]}"
    return Stopped(f"interrupted; the jobs of the run {name} go on", fix=fix)


@contextlib.contextmanager
def _ended_by(name: str, *signals: signal.Signals) -> Iterator[None]:
    """Let the jobs go on at these signals, unless they are ignored, as by `nohup`."""

    def leave(number: int, _: object) -> None:
        raise _goes_on(name)

    before = {each: signal.getsignal(each) for each in signals}
    before = {each: handler for each, handler in before.items() if handler != signal.SIG_IGN}
    for each in before:
        signal.signal(each, leave)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def open_attendance(work: Launch, run: Run, settings: Settings, least_s: float) -> Attendance:
    """Return the attendance of a run whose tasks are grouped into jobs of at least ``least_s`` seconds."""
    return Attendance(work, run, Submission(work, run, settings, least_s))


def _jobs(count: int) -> str:
    return f"{count} job{'s' * (count != 1)}"
