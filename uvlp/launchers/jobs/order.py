"""What a job is to make, written by the machine that submits it and read on the node."""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from uvlp.core import machine, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.writing import complete_file, write_utf8
from uvlp.declarations.launcher import Job

Make = Callable[[Sequence[Any], int | None], None]


@cache
def source_sha256() -> str:
    """Return a hash of UVLP's source, which two copies of the same version share."""
    total = hashlib.sha256()
    for file in sorted(plugins.PACKAGE.rglob("*.py")):
        total.update(file.relative_to(plugins.PACKAGE).as_posix().encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def write(folder: Path, name: str, jobs: Sequence[Job], make: Make, workers: int | None) -> None:
    """Write the order of a job: what to make with ``make``, and the version that planned them.

    Raises:
        OSError: it cannot be written.
    """
    with complete_file(folder / f"{name}.pkl", flushed=False) as unfinished:
        unfinished.write_bytes(pickle.dumps((make, tuple(jobs), workers)))
    facts = {
        "source": source_sha256(),
        "version": machine.versions()["uvlp"],
        "python": platform.python_version(),
        "host": platform.node(),
    }
    write_utf8(folder / f"{name}.json", json.dumps(facts, indent=1) + "\n", flushed=False)


def read(folder: Path, name: str) -> tuple[Make, tuple[Job, ...], int | None]:
    """Return the order of a job, after its version was compared with the one of this node.

    Raises:
        UvlpError: they differ.
    """
    facts = json_files.read_object(folder / f"{name}.json")
    if facts["source"] != source_sha256():
        raise UvlpError(
            f"the source of uvlp on {platform.node()} differs from the one on {facts['host']}",
            got=f"version {machine.versions()['uvlp']} in {plugins.PACKAGE}",
            allowed=f"version {facts['version']}, with the same files",
            fix="use one installation that all nodes see, or the same commit: --set launcher.python=COMMAND",
        )
    order: tuple[Make, tuple[Job, ...], int | None] = pickle.loads((folder / f"{name}.pkl").read_bytes())
    return order
