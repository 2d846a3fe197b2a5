"""How the machines of one job find each other: the first one writes a file that the others wait for.

A launcher that gives a job several machines sets `MACHINES` and `MEETING` in the first one's environment, and
runs `models/finetuning/follow.py` on the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.writing import write_utf8

MACHINES, MEETING = "UVLP_MACHINES", "UVLP_MEETING"


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
        attempt: of the launcher to run the job, so that calls of an earlier one are not answered.
    """

    number: str
    job: str
    processes: int
    cpu: bool
    machines: int
    address: str
    port: int
    attempt: str


def machines() -> int:
    """Return the number of machines that share a job which can use several."""
    return int(os.environ.get(MACHINES) or 1)


def attempt() -> str:
    """Return which start of the cluster's job this is."""
    return "-".join(os.environ.get(name, "") for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"))


@contextlib.contextmanager
def calling(job: Path, processes: int, cpu: bool, port: int) -> Iterator[Call]:
    """Ask the other machines to join a job as long as the block lasts.

    Args:
        job, processes, cpu: see `Call`.
        port: a free one of this machine.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(os.environ[MEETING])
    call = Call(
        number=secrets.token_hex(8),
        job=str(job),
        processes=processes,
        cpu=cpu,
        machines=machines(),
        address=platform.node(),
        port=port,
        attempt=attempt(),
    )
    write_utf8(path, json.dumps(asdict(call)) + "\n", flushed=False)
    try:
        yield call
    finally:
        path.unlink(missing_ok=True)


def heard(path: Path) -> Call | None:
    """Return the call to join now, if any; one of an earlier start of the job does not count."""
    try:
        call = json_files.build(Call, json_files.read_object(path))
    except (OSError, ValueError, UvlpError):
        return None
    return call if call.attempt == attempt() else None
