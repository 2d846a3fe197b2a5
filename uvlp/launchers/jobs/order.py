"""What the jobs of one call of `sbatch` make: a file of the machine that submits, read on the nodes."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uvlp.core import machine, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.hashing import digest, read_checked, write_checked
from uvlp.declarations.launcher import Job, Make
from uvlp.launchers.jobs.encoding import Decoder, Encoder

FORMAT = 2
NAME_LENGTH = 10


@cache
def source_sha256() -> str:
    """Return a hash of UVLP's source, which two copies of the same version share."""
    total = hashlib.sha256()
    for file in sorted(plugins.PACKAGE.rglob("*.py")):
        total.update(file.relative_to(plugins.PACKAGE).as_posix().encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def left_file(folder: Path, name: str) -> Path:
    """Return the file with the number of timeouts that the job ``name`` has left, once it was stopped."""
    return folder / f"{name}.left.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a job is told about its limits.

    Attributes:
        minutes: its time limit; 0: none.
        timeouts: how often it may reach that before it counts as failed.
        masked: whether it has no GPU of a node that may have some.
        staged: whether it reads images from archives that it copies to its node's own disk.
    """

    minutes: int = 0
    timeouts: int = 0
    masked: bool = False
    staged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The content of an order.

    Attributes:
        format: version of this class.
        source, version, python, host: of the machine that wrote it.
        limits: those of every job.
        names: of the jobs, by their place in the array.
        keys: by name, the keys of what the job makes.
        jobs: by name, what it makes, encoded.
        make: the encoded `Make`.
        rows: the objects of both; see `encoding.py`.
        workers: requested number of worker processes.
    """

    format: int
    source: str
    version: str
    python: str
    host: str
    limits: Limits
    names: tuple[str, ...]
    keys: dict[str, tuple[str, ...]]
    jobs: dict[str, Any]
    make: Any
    rows: Any
    workers: int | None
    path: str = ""

    def work(self, name: str) -> tuple[Make, tuple[Job, ...], int | None]:
        """Return what makes one of the jobs, its tasks, and the number of workers.

        Raises:
            UvlpError: this node has another version, or the order is damaged or for another store.
        """
        self._check_source()
        decoder = Decoder(self.rows)
        try:
            make, jobs = decoder.decode(self.make), decoder.decode(self.jobs[name])
            keys = tuple(job.key for job in jobs)
        except Exception as error:  # classes refuse their fields as they like
            raise _damaged(Path(self.path), f"{type(error).__name__}: {error}") from error
        if keys != self.keys[name] or not isinstance(make, Make):
            raise _damaged(Path(self.path), "the tasks are others than those that it names")
        if make.root.resolve() != Path(self.path).resolve().parent.parent.parent:
            raise UvlpError("the order of a job is for another store", got=str(make.root), allowed=self.path)
        return make, jobs, self.workers

    def _check_source(self) -> None:
        if self.source != source_sha256():
            raise UvlpError(
                f"the source of uvlp on {platform.node()} differs from the one on {self.host}",
                got=f"version {machine.versions()['uvlp']} in {plugins.PACKAGE}",
                allowed=f"version {self.version}, with the same files",
                fix="use one installation that all nodes see, or the same commit: "
                "--set launcher.python=COMMAND",
            )


def write(
    folder: Path, jobs: Mapping[str, Sequence[Job]], make: Make, workers: int | None, limits: Limits
) -> str:
    """Write the order of jobs, by name, and return the name of its file.

    Raises:
        UvlpError: a setting cannot be written.
        OSError: the file cannot be written.
    """
    encoder, name = Encoder(), f"order-{digest(list(jobs))[:NAME_LENGTH]}.json"
    content = Order(
        format=FORMAT,
        source=source_sha256(),
        version=str(machine.versions()["uvlp"]),
        python=platform.python_version(),
        host=platform.node(),
        limits=limits,
        names=tuple(jobs),
        keys={name: tuple(job.key for job in each) for name, each in jobs.items()},
        jobs={name: encoder.encode(tuple(each)) for name, each in jobs.items()},
        make=encoder.encode(make),
        rows=encoder.rows,
        workers=workers,
    )
    write_checked(folder / name, asdict(content))
    return name


def read(folder: Path, name: str) -> Order:
    """Read an order.

    Raises:
        UvlpError: it is missing, damaged, or of another version of UVLP.
    """
    path = folder / name
    content = read_checked(path)
    if content is None:
        raise _damaged(path, "its hash differs") if path.is_file() else _damaged(path, "it is missing")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(path, f"not in the format {FORMAT} of this version of uvlp")
    try:
        return json_files.build(Order, content | {"path": str(path)})
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> UvlpError:
    what = f"the order of a job cannot be used: {why}"
    return UvlpError(what, got=str(path), fix="re-run the command to submit it again")
