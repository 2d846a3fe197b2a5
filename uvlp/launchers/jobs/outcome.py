"""The outcome of a job, a file that its node writes: an error reaches the user as the error that it is."""

from __future__ import annotations

import json
import platform
import traceback
from pathlib import Path
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.files import json_files
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.files.writing import write_utf8

DONE, FAILED, DEFECT, STOPPED = "done", "failed", "defect", "stopped"
KILLED = "SIGKILL"
"""Part of the message about a process that the kernel killed, which usually lacked memory."""


def path(folder: Path, name: str) -> Path:
    """Return the file with the outcome of the job ``name``."""
    return folder / f"{name}.outcome.json"


def write(folder: Path, name: str, error: BaseException | None) -> str:
    """Write how a job ended, and return its state: one of the constants of this file."""
    content: dict[str, Any] = {"state": DONE, "host": platform.node()}
    if error is not None:
        details = getattr(error, "details", "") or "".join(traceback.format_exception(error))
        explained = error if isinstance(error, UvlpError) else as_uvlp_error(error)
        if isinstance(error, Stopped | KeyboardInterrupt):
            content |= {"state": STOPPED, "what": str(error)}
        elif explained is not None:
            content |= {
                "state": FAILED,
                "what": explained.what,
                "got": _plain(explained.got),
                "allowed": explained.allowed,
                "fix": explained.fix,
            }
        else:
            text = str(error) if isinstance(error, WorkerFailed) else plugins.describe_error(error)  # type: ignore[arg-type]
            content |= {"state": DEFECT, "what": text}
        content["details"] = details
    write_utf8(path(folder, name), json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return str(content["state"])


def _plain(value: object) -> object:
    """Return a value of an error as JSON has it."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the outcome of a job; None if it has not ended, or left no report."""
    file = path(folder, name)
    return json_files.read_object(file) if file.is_file() else None


def error(content: dict[str, Any], job: str) -> Exception:
    """Return the error of a job that failed, with the class that it had on the node.

    Args:
        content: its outcome.
        job: description of the job.
    """
    details = str(content.get("details", ""))
    if content["state"] == FAILED:
        found = UvlpError(content["what"], got=content["got"], allowed=content["allowed"], fix=content["fix"])
        found.details = details
        return found
    if content["state"] == STOPPED:
        what = f"{job} was stopped on {content['host']} ({content['what']})"
        return UvlpError(what, fix="finished artifacts are kept, re-run the command to resume")
    return WorkerFailed(f"{job} failed on {content['host']}: {content['what']}", details)
