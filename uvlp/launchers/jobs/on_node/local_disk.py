"""A folder on the node's own disk for the processes of a job, which is deleted when the job ends.

Clusters delete `$SLURM_TMPDIR` with the job, but rarely `$TMPDIR`; what a job left there that was killed is
deleted by the next one on the node.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from uvlp.artifacts.dataset import STAGED
from uvlp.core.errors import UvlpError
from uvlp.core.files.leases import lease

DISK = "UVLP_LOCAL_DISK"
SETUP = f'export {DISK}="${{SLURM_TMPDIR:-${{TMPDIR:-}}}}"'
"""A line of the job script, because srun replaces a TMPDIR that it cannot create by /tmp."""
PREFIX, LEASE = "uvlp-", "job.lease"


@contextlib.contextmanager
def folder(name: str) -> Iterator[None]:
    """Name a new folder in the environment for as long as the block lasts; "" if the node names no disk.

    That is an error only for a process that reads images (`datasets/staging`).

    Args:
        name: of the job.

    Raises:
        UvlpError: the node names a folder that cannot be written.
    """
    base = os.environ.get(DISK, "")
    os.environ[STAGED] = ""
    if not base:
        yield
        return
    fix = "name a writable folder: launcher.setup, 'export TMPDIR=/scratch'; with a container, also bind it"
    try:
        _sweep(Path(base))
        made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=base))
        held = lease.create(made / LEASE)
    except OSError as error:
        what = f"launcher.stage cannot use the node's own disk: {error.strerror}"
        raise UvlpError(what, got=base, fix=fix) from error
    os.environ[STAGED] = str(made)
    try:
        yield
    finally:
        if held is not None:
            held.release()
        shutil.rmtree(made, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Delete the folders of jobs of this node that were killed."""
    for path in base.glob(f"{PREFIX}*/{LEASE}"):
        holder = lease.holder_of(lease.read(path))
        if holder is not None and holder[1].is_known_dead:
            shutil.rmtree(path.parent, ignore_errors=True)
