"""How the machines of one job find each other: the first one writes files that the others wait for.

A launcher that gives a job several machines sets `MACHINES` and `MEETING`, a folder of this start of the job,
in the first one's environment, and runs `models/finetuning/follow.py` on the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.writing import write_utf8

MACHINES, MEETING = "UVLP_MACHINES", "UVLP_MEETING"
CALL, ROLL, HERE, END = "call.json", "roll", "here-{}", "end"
"""Files of the folder: what to join, the last roll call, the answer of each machine, and that it is over."""
ANSWER_S = 90.0
"""How long a machine may take to answer: a shared folder shows new files late."""
POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the other machines are to join.

    Attributes:
        number: another one for each call.
        job: file that their processes read.
        processes: of each machine.
        cpu: whether they compute on the processor.
        machines: number of all machines.
        address, port: of the first one.
    """

    number: str
    job: str
    processes: int
    cpu: bool
    machines: int
    address: str
    port: int


def machines() -> int:
    """Return the number of machines that share a job which can use several."""
    return int(os.environ.get(MACHINES) or 1)


@contextlib.contextmanager
def calling(job: Path, processes: int, cpu: bool, port: int) -> Iterator[Call]:
    """Ask the other machines to join a job as long as the block lasts.

    Args:
        job, processes, cpu: see `Call`.
        port: a free one of this machine.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(os.environ[MEETING]) / CALL
    call = Call(
        number=secrets.token_hex(8),
        job=str(job),
        processes=processes,
        cpu=cpu,
        machines=machines(),
        address=platform.node(),
        port=port,
    )
    write_utf8(path, json.dumps(asdict(call)) + "\n", flushed=False)
    try:
        yield call
    finally:
        path.unlink(missing_ok=True)


def heard(folder: Path) -> Call | None:
    """Return the call to join now, if any."""
    try:
        return json_files.build(Call, json_files.read_object(folder / CALL))
    except (OSError, ValueError, UvlpError):
        return None


def absent() -> list[int]:
    """Return the other machines, by their ranks, that do not answer: they were lost, or are unreachable.

    Raises:
        OSError: the file of the roll call cannot be written.
    """
    others = list(range(1, machines()))
    if not others:
        return []
    folder, roll = Path(os.environ[MEETING]), secrets.token_hex(8)
    write_utf8(folder / ROLL, roll, flushed=False)
    ends = time.monotonic() + ANSWER_S
    while others and time.monotonic() < ends:
        time.sleep(POLL_S)
        others = [rank for rank in others if _content(folder / HERE.format(rank)) != roll]
    return others


def answer(folder: Path, rank: int) -> None:
    """Answer the last roll call as the machine ``rank``."""
    roll, own = _content(folder / ROLL), folder / HERE.format(rank)
    if roll != _content(own):
        write_utf8(own, roll, flushed=False)


def _content(file: Path) -> str:
    """Return the text of a small file; empty if it is not there."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
