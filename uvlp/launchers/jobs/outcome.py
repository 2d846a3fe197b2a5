"""The outcome of a job, a file that its node writes: an error reaches the user as the error that it is."""

from __future__ import annotations

import json
import platform
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.files import json_files
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.files.writing import write_utf8

FORMAT = 1
DONE, FAILED, DEFECT, STOPPED = "done", "failed", "defect", "stopped"
STATES = (DONE, FAILED, DEFECT, STOPPED)
KILLED = "SIGKILL"
"""Part of the message about a process that the kernel killed, which usually lacked memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended.

    Attributes:
        format: version of this class.
        state: one of `STATES`.
        host: the node.
        what, got, allowed, fix: of a `UvlpError`; ``what`` alone for other errors.
        details: the traceback.
    """

    format: int = FORMAT
    state: str
    host: str
    what: str = ""
    got: Any = None
    allowed: str | None = None
    fix: str | None = None
    details: str = ""


def path(folder: Path, name: str) -> Path:
    """Return the file with the outcome of the job ``name``."""
    return folder / f"{name}.outcome.json"


def write(folder: Path, name: str, error: BaseException | None) -> str:
    """Write how a job ended, and return its state."""
    found = _of(error)
    write_utf8(path(folder, name), json.dumps(asdict(found), indent=1, ensure_ascii=False) + "\n")
    return found.state


def _of(error: BaseException | None) -> Outcome:
    host = platform.node()
    if error is None:
        return Outcome(state=DONE, host=host)
    details = getattr(error, "details", "") or "".join(traceback.format_exception(error))
    if isinstance(error, Stopped | KeyboardInterrupt):
        return Outcome(state=STOPPED, host=host, what=str(error), details=details)
    explained = error if isinstance(error, UvlpError) else as_uvlp_error(error)
    if explained is None:
        text = str(error) if isinstance(error, WorkerFailed) else plugins.describe_error(error)  # type: ignore[arg-type]
        return Outcome(state=DEFECT, host=host, what=text, details=details)
    return Outcome(
        state=FAILED,
        host=host,
        what=explained.what,
        got=_plain(explained.got),
        allowed=explained.allowed,
        fix=explained.fix,
        details=details,
    )


def _plain(value: object) -> object:
    """Return a value of an error as JSON has it."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def read(folder: Path, name: str) -> Outcome | None:
    """Return the outcome of a job; None if it has not ended, or left no report.

    Raises:
        UvlpError: the report is damaged, or of another version of UVLP.
    """
    file = path(folder, name)
    if not file.is_file():
        return None
    try:
        found = json_files.build(Outcome, json_files.parse(file.read_bytes()))
        if found.format != FORMAT or found.state not in STATES:
            raise ValueError(f"format {found.format}, state {found.state[:40]!r}")
    except ValueError as error:
        fix = "re-run the command: it submits the job again once that has ended"
        raise UvlpError(f"the report of a job is damaged: {error}", got=str(file), fix=fix) from error
    return found


def error(found: Outcome, job: str) -> Exception:
    """Return the error of a job that failed, with the class that it had on the node.

    Args:
        found: its outcome.
        job: description of the job.
    """
    if found.state == FAILED:
        explained = UvlpError(found.what, got=found.got, allowed=found.allowed, fix=found.fix)
        explained.details = found.details
        return explained
    if found.state == STOPPED:
        what = f"{job} was stopped on {found.host} ({found.what})"
        return UvlpError(what, fix="finished artifacts are kept, re-run the command to resume")
    return WorkerFailed(f"{job} failed on {found.host}: {found.what}", found.details)
