"""The parts of an unfinished artifact, in a folder that outlives an interrupted run.

A part is a fixed number of consecutive items (images, rows) in the stage's own order, whole batches from its
first item on. It does not depend on how many jobs make the parts. Each is a folder named by its first item,
with its files and a mark: their hashes, the artifact's key, the plan of all parts, and counts for the notes.

A part is made in a folder with the token of its owner and renamed last. If the name exists by then, another
process made the part first, and its bytes are the same. The plan (device, dtype, batch) is recorded in the
same way before the first part, so that all processes follow the first one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files, sealed
from uvlp.core.files.writing import flush
from uvlp.core.hashing import file_sha256

FOLDER, PLAN, MARK = "parts", "plan", "mark.json"
SPLITS = "times that a batch was split because GPU memory was too small"
"""Name of a count of parts."""
BEFORE = (
    *("shards.json", "*.npy", "*.jsonl", "train", "batches", "state.json"),
    *("latents.float16", "latents-done"),
)
"""Files and folders of parts made by versions with a format per stage."""


@dataclass(frozen=True, slots=True)
class Share:
    """The parts that a job makes: those whose number is ``index`` modulo ``count``.

    Attributes:
        publishes: whether it also publishes the artifact; only a job with all parts.
        helps: whether it makes parts of slower jobs once its own are made.
    """

    index: int = 0
    count: int = 1
    publishes: bool = True
    helps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the parts of an artifact have in common, fixed by the first job.

    Attributes:
        items: number of items of the artifact.
        batch: items that are computed at once; 0 if a method chooses them.
        size: items per part; 0 if a method chooses them.
        device: type of the device, e.g. ``cpu`` or ``NVIDIA H200``: other types round differently.
        dtype: dtype of the computation.
    """

    items: int
    batch: int
    size: int
    device: str
    dtype: str

    def parts(self, share: Share) -> list[range]:
        """Return the items of every part of a share."""
        every = [self.part(first) for first in range(0, self.items, self.size)]
        return every[share.index :: share.count]

    def part(self, first: int) -> range:
        """Return the items of the part that begins with ``first``."""
        return range(first, min(first + self.size, self.items))

    def batches(self, part: range) -> list[range]:
        """Return the batches of a part."""
        return [part[start : start + self.batch] for start in range(0, len(part), self.batch)]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A part that is being made.

    Attributes:
        folder: for its files.
        counts: for the notes of the artifact.
    """

    folder: Path
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Content of a mark.

    Attributes:
        key: of the artifact.
        plan: of all parts.
        items: number of items of the part; 0 in the mark of the plan.
        files: SHA-256 by name.
        counts: for the notes of the artifact.
    """

    key: str
    plan: Plan
    items: int = 0
    files: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Parts:
    """The parts of one artifact.

    Args:
        partial: folder of the unfinished artifact.
        key: of the artifact.
        log: called with a line about damaged parts, which are made again.

    Every method that reads a part raises an UvlpError if it belongs to another artifact, or was made on a
    device of another type or in another dtype; such parts are never deleted.
    """

    def __init__(self, partial: Path, key: str, log: Callable[[str], None]) -> None:
        self._folder, self._key, self._log = partial / FOLDER, key, log
        self._intact: dict[int, Mark] = {}
        """Marks of verified parts, by first item."""
        _discard_earlier(partial, log)

    def plan(self) -> Plan | None:
        """Return the recorded plan; None before it is recorded."""
        marks = (self._read(name) for name in (PLAN, *self._names()))
        return next((mark.plan for mark in marks if mark is not None), None)

    def recorded(self, device: str, dtype: str) -> Plan | None:
        """Return the plan to follow on a device; None if there is none.

        The plan of another device does not count as long as there are no parts.
        """
        plan = self.plan()
        if plan is None or (plan.device, plan.dtype) == (device, dtype):
            return plan
        if not self._names():
            return None
        raise self._of_another_device("the parts", plan, f"{device}, {dtype}")

    def begin(self, plan: Plan) -> Plan:
        """Record the plan unless another one is recorded already; return the recorded one."""
        recorded = self.recorded(plan.device, plan.dtype)
        if recorded is None:
            with self._owned(PLAN) as folder:
                self._mark(folder, PLAN, Mark(key=self._key, plan=plan))
                self._settle(folder, PLAN, lambda: self.recorded(plan.device, plan.dtype) is not None)
            recorded = self.recorded(plan.device, plan.dtype) or plan
        return recorded

    def missing(self, plan: Plan, share: Share) -> list[range]:
        """Return the parts of a share that are missing or, with a line in the log, damaged."""
        return [part for part in plan.parts(share) if not self.has(part.start, plan)]

    def of_slowest(self, plan: Plan, share: Share) -> range | None:
        """Return the last part of the job with most parts left, other than ``share``; None if none is left.

        Parts that some process is making are not counted. The job itself makes its parts from the first one
        on, so that both meet at the end, and few parts are made twice.
        """
        names = os.listdir(self._folder) if self._folder.is_dir() else []
        taken = {name.removeprefix(".").partition(".")[0] for name in names}
        left: list[list[range]] = [
            [part for part in plan.parts(Share(index, share.count)) if _name(part.start) not in taken]
            for index in range(share.count)
            if index != share.index
        ]
        most = max(left, key=len, default=[])
        return most[-1] if most else None

    def has(self, first: int, plan: Plan) -> bool:
        """Return whether the part that begins with ``first`` exists and is undamaged; see `missing`."""
        defect = self._defect(first, plan)
        if defect:
            self._log(f"the part from item {first + 1} on {defect}: making it again")
        return defect == ""

    def _defect(self, first: int, plan: Plan) -> str | None:
        """Return what is wrong with a part: nothing if it is ""; None if there is no part."""
        name = _name(first)
        if first in self._intact:
            return ""
        if not (self._folder / name).is_dir():
            return None
        mark = self._verified(name)
        if mark is None:
            return "is damaged"
        if _origin(mark.plan) != _origin(plan):
            raise self._of_another_device(f"the part {name}", mark.plan, _origin(plan))
        if mark.plan != plan:
            return "has other batches"
        self._intact[first] = mark
        return ""

    def leading(self, plan: Plan) -> list[range]:
        """Return the parts up to the first that is missing or damaged, if a method chooses their size."""
        found: list[range] = []
        end = 0
        while end < plan.items and self.has(end, plan):
            found.append(range(end, end + self._intact[end].items))
            end = found[-1].stop
        return found

    @contextlib.contextmanager
    def making(self, part: range, plan: Plan) -> Iterator[Unfinished]:
        """Yield a folder for the files of a part, which exists from the end of the block on."""
        name = _name(part.start)
        with self._owned(name) as folder:
            unfinished = Unfinished(folder)
            yield unfinished
            mark = Mark(
                key=self._key,
                plan=plan,
                items=len(part),
                files={path.relative_to(folder).as_posix(): file_sha256(path) for path in _files(folder)},
                counts=dict(+unfinished.counts),
            )
            self._mark(folder, name, mark)
            if self._settle(folder, name, lambda: self._defect(part.start, plan) == ""):
                self._intact[part.start] = mark

    def folder(self, first: int) -> Path:
        """Return the folder of the part that begins with ``first``, which exists."""
        return self._folder / _name(first)

    def counts(self) -> Counter[str]:
        """Return the sums of the counts of all parts."""
        total: Counter[str] = Counter()
        for mark in map(self._read, self._names()):
            total.update(mark.counts if mark else {})
        return total

    def _names(self) -> list[str]:
        """Return the names of all parts, whatever their state."""
        names = os.listdir(self._folder) if self._folder.is_dir() else []
        return sorted(name for name in names if name.isdecimal())

    def _read(self, name: str) -> Mark | None:
        """Return the mark of a part or of the plan; None if missing or damaged."""
        try:
            mark = json_files.build(Mark, sealed.read(self._folder / name / MARK, name))
        except ValueError:
            return None
        if mark.key != self._key:
            raise UvlpError(
                f"{self._folder / name} belongs to another artifact",
                got=mark.key,
                allowed=self._key,
                fix=f"move it back, or delete {self._folder} to make all parts again",
            )
        return mark

    def _verified(self, name: str) -> Mark | None:
        """Return the mark of a part; None if the mark or a file is missing or damaged."""
        mark = self._read(name)
        try:
            for file, sha256 in mark.files.items() if mark else ():
                if file_sha256(self._folder / name / file) != sha256:
                    return None
        except (OSError, UvlpError):
            return None
        return mark

    def _of_another_device(self, what: str, made: Plan, here: str) -> UvlpError:
        return UvlpError(
            f"{what} in {self._folder} come from another device or dtype, which rounds differently",
            got=_origin(made),
            allowed=here,
            fix=f"resume on {made.device}, or delete {self._folder} to make all parts again here",
        )

    @contextlib.contextmanager
    def _owned(self, name: str) -> Iterator[Path]:
        """Yield a new folder of this process, which is removed unless it is renamed."""
        folder = self._folder / f".{name}.{os.getpid()}-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _mark(self, folder: Path, name: str, mark: Mark) -> None:
        for path in [*_files(folder), *(each for each in folder.rglob("*") if each.is_dir())]:
            flush(path)
        sealed.write(folder / MARK, name, asdict(mark))

    def _settle(self, folder: Path, name: str, exists: Callable[[], bool]) -> bool:
        """Rename a complete folder; return False if another process was first."""
        target = self._folder / name
        while True:
            try:
                os.rename(folder, target)
            except OSError:
                if not target.is_dir():
                    raise
                if exists():
                    return False
                # Damaged: moved away and deleted. Another process may do the same, and rename its own first.
                with self._owned(name) as aside, contextlib.suppress(FileNotFoundError):
                    os.rename(target, aside)
            else:
                flush(self._folder)
                return True


def _name(first: int) -> str:
    return f"{first:08}"


def _origin(plan: Plan) -> str:
    """Return what determines the last bits."""
    return f"{plan.device}, {plan.dtype}"


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _discard_earlier(partial: Path, log: Callable[[str], None]) -> None:
    """Delete parts made by versions with a format per stage."""
    earlier = [path for pattern in BEFORE for path in partial.glob(pattern)]
    if earlier:
        log("parts of an earlier version have another format: making them again")
    for path in earlier:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
