"""What is said about a job that ended without being done: one line each, with what the next call does."""

from __future__ import annotations

from pathlib import Path

from uvlp.core.display import messages
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.files.lines import split_lines
from uvlp.launchers.jobs import outcome
from uvlp.launchers.jobs.outcome import Outcome
from uvlp.launchers.jobs.queue import GONE, State
from uvlp.launchers.jobs.record import JobRecord, Run

OUT_OF_MEMORY, CANCELLED, TIMEOUT = "OUT_OF_MEMORY", "CANCELLED", "TIMEOUT"
CERTAIN = (OUT_OF_MEMORY, CANCELLED, TIMEOUT, "DEADLINE")
"""States after which no outcome file is written."""
DEPENDENCY = "Dependency"
"""Start of the reason for which a job was cancelled that needs one which did not end as COMPLETED."""
EXIT_CODE = "Exited with exit code"
"""What `srun` adds to the job's own last line."""
RESUME = "finished artifacts and parts are kept, re-run the command to resume"


def is_certain(state: State) -> bool:
    """Return whether no outcome file is written any more, and no other job explains the end of this one."""
    return state.state in CERTAIN and not state.reason.startswith(DEPENDENCY)


def describe(job: JobRecord) -> str:
    """Return the words for a job in messages."""
    return f"job {job.id} ({job.title})"


def failure(run: Run, job: JobRecord, found: Outcome) -> Exception:
    """Return the error of a job whose node wrote how it failed."""
    if found.state == outcome.DEFECT and outcome.KILLED in found.what:
        return _out_of_memory(run, job)
    return outcome.error(found, describe(job))


def ended_as(run: Run, job: JobRecord, state: str, found: Outcome | None) -> str:
    """Return how a job ended that the queue may no longer list.

    Slurm forgets an element of an array that was cancelled while it waited, though it lists all other jobs
    for some minutes after their end. Such a job has left no log, and one that was cancelled while it ran
    has been stopped.
    """
    if state != GONE:
        return state
    if found is not None and found.state == outcome.STOPPED:
        return CANCELLED
    seen = any(run.folder.glob("log/*_log.out"))
    return CANCELLED if seen and not log_path(run, job).is_file() else GONE


def log_path(run: Run, job: JobRecord) -> Path:
    """Return the file with what a job prints."""
    return run.folder / "log" / f"{job.id}_0_log.out"


def without_report(run: Run, job: JobRecord, state: str) -> Exception:
    """Return the error of a job that ended in a state of the cluster without an outcome file."""
    if state == OUT_OF_MEMORY:
        return _out_of_memory(run, job)
    if state == CANCELLED:
        return UvlpError(f"{describe(job)} was cancelled", fix=RESUME)
    if state == TIMEOUT:
        return UvlpError(
            f"{describe(job)} reached its time limit", fix=f"{RESUME}, or raise launcher.time_minutes"
        )
    file = log_path(run, job)
    last = _last_line(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else ""
    if last:
        what = f"{describe(job)} ended without a report, in the state {state}"
        return UvlpError(what, got=last, fix=f"see {file}")
    if file.is_file():
        what = f"{describe(job)} ended in the state {state} and printed nothing"
        return UvlpError(what, fix=f"a line of launcher.setup may have ended it; its log is {file}")
    if state == GONE:
        fix = "it was cancelled, or the nodes do not see the store; re-run the command to submit it again"
        return UvlpError(f"{describe(job)} is not in the queue, and left no report in {run.folder}", fix=fix)
    return UvlpError(
        f"{describe(job)} ended in the state {state} and left nothing in {run.folder}",
        fix="the nodes must see the store under the same path: use a shared folder, --store DIR",
    )


def _out_of_memory(run: Run, job: JobRecord) -> UvlpError:
    if not job.memory_gb:
        fix = "set launcher.memory_gb, or more in launcher.sbatch, and re-run the command to resume"
        return UvlpError(f"{describe(job)} ran out of memory, for which UVLP does not ask", fix=fix)
    run.out_of_memory(job)
    fix = f"{RESUME} with {2 * job.memory_gb} GB"
    return UvlpError(f"{describe(job)} ran out of memory", got=f"{job.memory_gb} GB", fix=fix)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in split_lines(text) if line.strip() and EXIT_CODE not in line]
    return lines[-1] if lines else ""


def note(run: Run, job: JobRecord, state: str, found: Outcome | None) -> None:
    """Report how a job of an earlier call ended, whose tasks are submitted again."""
    if found is not None and found.state in (outcome.DONE, outcome.STOPPED):
        return
    error = failure(run, job, found) if found is not None else without_report(run, job, state)
    text = error.text if isinstance(error, WorkerFailed) else str(error)
    messages.note(f"submitting again: {text.partition('; ')[0]}")
