"""The estimate of a complete run: a row per stage and a total, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from uvlp.artifacts.task import Task
from uvlp.core import machine as this
from uvlp.core.display.width import tabulated
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.scheduling.cards import Asked
from uvlp.core.wording import byte_size, duration
from uvlp.pipeline.estimates import (
    assumptions as assumed,
    cost as measured,
    fitting,
    shares,
    together,
)
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.cards import Machine
from uvlp.pipeline.estimates.cost import HALF, SINGLE, Cost, RunContext
from uvlp.pipeline.estimates.fitting import Fit
from uvlp.pipeline.estimates.shares import Share
from uvlp.pipeline.estimates.stages import STAGES
from uvlp.pipeline.estimates.transformers import DIT_XL
from uvlp.pipeline.planning.planner import STAGES as ORDER
from uvlp.pipeline.prepare import Plan
from uvlp.recipes.dataset_size import DatasetSize

WEIGHTS = PUBLISHED["parameters"]
MODELS = {
    "diffusion": ("Stable Diffusion 1.5", SINGLE * sum(WEIGHTS[part] for part in ("unet", "vae", "text"))),
    "clip": ("CLIP ViT-L/14", SINGLE * WEIGHTS["clip"]),
    "llava": ("LLaVA-1.5-7B", HALF * WEIGHTS["llava"]),
    "dit": ("DiT-XL/2", SINGLE * (DIT_XL.parameters + WEIGHTS["vae"])),
}
"""Titles and bytes of the published models by part; all but LLaVA are published in float32."""
PROJECTED = "projected, not measured"
GB = 10**9
ASKED = Asked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All artifacts of one stage of a run.

    Attributes:
        stage: name of the stage.
        artifacts: number of artifacts.
        done: number of artifacts that already exist and cost nothing.
        work: amount of work, e.g. ``"3 x 75,752 images in all epochs"``.
        seconds: time of the missing artifacts; None if one of them was not counted.
        gpu_bytes, host_bytes: largest need of an artifact.
        disk_bytes: permanent disk usage of the missing artifacts.
        scratch_bytes: largest additional disk usage of an artifact while it is made.
        basis: "measured" on this card, or "projected".
    """

    stage: str
    artifacts: int
    done: int
    work: str
    seconds: float | None
    gpu_bytes: float
    host_bytes: float
    disk_bytes: float
    scratch_bytes: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Estimated cost of a run on a machine.

    Attributes:
        title: description of the recipe.
        machine: the machine.
        rows: one per stage.
        longest_s: time of the longest chain of dependent artifacts.
        together_s: time on several cards; None if a part of it is unknown, or for a single card.
        workers: worker processes; they share the GPU if there is one.
        fits: the GPU memory of every stage that needs a card, if there is one.
        fetched: downloads before the run.
        shares: the time of every method's own artifacts, and of those that several methods share.
        rests_on: all assumptions.
        notes: further notes for the user.
    """

    title: str
    machine: Machine
    rows: tuple[Row, ...]
    longest_s: float
    together_s: float | None
    workers: int
    fits: tuple[Fit, ...]
    fetched: tuple[Download, ...]
    shares: tuple[Share, ...]
    rests_on: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """Wall-clock time without downloads; None if a part of it is unknown.

        Without a card it is at least that of the longest chain, and the processes' share of the sum.
        """
        known = [row.seconds for row in self.rows if row.seconds is not None]
        if len(known) < len(self.rows) or not self.machine.known:
            return None
        starting = assumed.START_S if any(known) else 0.0
        if self.machine.gpu and self.machine.count > 1:
            return None if self.together_s is None else self.together_s + starting
        together = 1 if self.machine.gpu else self.workers
        return max(sum(known) / together, self.longest_s) + starting

    @property
    def gpu_bytes(self) -> float:
        """Largest GPU memory that a stage needs."""
        return max((row.gpu_bytes for row in self.rows), default=0.0)

    @property
    def host_bytes(self) -> float:
        """Largest host memory: that of the largest artifact in every worker."""
        return self.workers * max((row.host_bytes for row in self.rows), default=0.0)

    @property
    def scratch_bytes(self) -> float:
        """Largest temporary disk usage of an artifact."""
        return max((row.scratch_bytes for row in self.rows), default=0.0)

    @property
    def disk_bytes(self) -> float:
        """Disk usage of downloads and all stages, and the largest temporary one."""
        kept = sum(row.disk_bytes for row in self.rows)
        fetched = sum(download.disk_bytes for download in self.fetched)
        return fetched + kept + self.scratch_bytes

    def json(self) -> dict[str, Any]:
        """Return all fields and the total as JSON values."""
        total = {
            "seconds": self.seconds,
            "gpu_bytes": self.gpu_bytes,
            "host_bytes": self.host_bytes,
            "disk_bytes": self.disk_bytes,
        }
        return {**asdict(self), "total": total}

    def lines(self, width: int | None = None) -> list[str]:
        """Return a text table, followed by downloads, notes and assumptions.

        Args:
            width: columns for the table; None: any number.
        """
        head = ("stage", "work", "time", "GPU memory", "host memory", "disk")
        table = tabulated(head, [*(self._cells(row) for row in self.rows), self._total()], width)
        machine = (f"{self.machine.count} x " if self.machine.count > 1 else "") + self.machine.name
        return [
            f"Estimate for {self.title} on {machine} ({self.machine.source}); {self.basis}",
            *table,
            *fitting.lines(self.fits, self.machine.memory_bytes),
            *shares.lines(self.shares),
            *self._fetches(),
            *self.notes,
            *(f"assumed: {text}" for text in self.rests_on),
        ]

    @property
    def basis(self) -> str:
        """Which stages were measured on this card."""
        stages = [row.stage for row in self.rows if row.basis == "measured"]
        return f"measured: {', '.join(stages)}; the rest projected" if stages else PROJECTED

    def _cells(self, row: Row) -> tuple[str, ...]:
        made = f", {row.done} of {row.artifacts} done" if row.done else ""
        return (
            row.stage,
            row.work + made,
            duration(row.seconds if self.machine.known else None),
            *(_bytes(size) for size in (row.gpu_bytes, row.host_bytes, row.disk_bytes + row.scratch_bytes)),
        )

    def _total(self) -> tuple[str, ...]:
        sizes = (self.gpu_bytes, self.host_bytes, self.disk_bytes)
        workers = f"{self.workers} processes" if self.workers > 1 else "one process"
        return ("total", workers, duration(self.seconds), *(_bytes(size) for size in sizes))

    def _fetches(self) -> list[str]:
        return [
            f"download first: {download.what}, {byte_size(download.bytes)}"
            + (f" ({download.note})" if download.note else "")
            for download in self.fetched
        ]


def _bytes(size: float) -> str:
    return byte_size(round(size)) if size > 0 else "-"


def everything(plan: Plan, size: DatasetSize) -> Iterator[Download]:
    """Yield all downloads of a new machine: the dataset, and the published models of the recipe."""
    if size.disk_bytes:
        archive = size.archive_bytes
        yield Download(
            what=plan.recipe.dataset,
            urls=(),
            bytes=archive,
            disk_bytes=archive + size.disk_bytes,
            note="" if archive else "read from the folder given by --data",
        )
    used = {part for task in plan.tasks for part in task.origins.values()}
    for part, (title, stored) in MODELS.items():
        if part in used:
            yield Download(what=title, urls=(), bytes=stored, disk_bytes=stored)


def estimate(
    plan: Plan,
    machine: Machine,
    *,
    made: Callable[[Task], bool] = lambda task: False,
    fetched: Iterable[Download] | None = None,
    workers: int | None = None,
    asked: Asked = ASKED,
) -> Estimate:
    """Estimate the cost of a run.

    Args:
        plan: of the run.
        machine: a named card or this machine (`cards`).
        made: whether an artifact already exists.
        fetched: downloads before the run; by default the dataset and the models.
        workers: worker processes; by default as many as a run starts.
        asked: how several cards are shared, if the machine has them.

    Raises:
        UvlpError: the size of the dataset is unknown.
    """
    recipe, size, tasks = plan.recipe, _known_size(plan), plan.tasks
    context = RunContext(recipe, size, machine)
    by_stage: dict[str, list[tuple[Task, Cost]]] = {}
    for task in tasks:
        if task.stage in STAGES:
            by_stage.setdefault(task.stage, []).append((task, STAGES[task.stage](task, context)))
    rows = [_row(stage, by_stage[stage], made, machine) for stage in ORDER if stage in by_stage]
    known = {
        task.key: measured.seconds(task, cost, machine).seconds
        for entries in by_stage.values()
        for task, cost in entries
        if not made(task)
    }
    times = {key: seconds or 0.0 for key, seconds in known.items()}
    several = together.cards_of(machine, asked) if machine.gpu and machine.count > 1 else None
    hours = None
    if several is not None:
        workers = several.workers
        hours = together.hours(plan, [task for task in tasks if not made(task)], several, machine)
    left = {stage: [cost for task, cost in entries if not made(task)] for stage, entries in by_stage.items()}
    fits = [fitting.of_stage(row.stage, left[row.stage], machine.memory_bytes) for row in rows]
    costs = [cost for entries in by_stage.values() for _, cost in entries]
    seeds = f"{len(recipe.seeds)} seed" + ("s" if len(recipe.seeds) > 1 else "")
    return Estimate(
        title=f"{recipe.dataset} at {recipe.ipc} images per class, {seeds}, profile {recipe.profile}",
        machine=machine,
        rows=tuple(rows),
        longest_s=_longest(tasks, times),
        together_s=None if hours is None else 3600 * hours,
        workers=workers or this.default_workers(),
        fits=tuple(each for each in fits if each is not None),
        fetched=tuple(everything(plan, size) if fetched is None else fetched),
        shares=shares.of_methods(plan, known) if machine.known else (),
        rests_on=tuple(dict.fromkeys(rest.because for cost in costs for rest in cost.rests_on)),
        notes=tuple(_notes(size, rows, machine)),
    )


def _known_size(plan: Plan) -> DatasetSize:
    if plan.size is None:
        alone = [f"`{each.command}`" for each in plan.transfers if not each.part]
        fix = f"first {alone[0]}" if alone else "give its folder, or choose a named dataset"
        raise UvlpError(f"the size of {plan.recipe.dataset} is unknown before it is opened", fix=fix)
    return plan.size


def _longest(tasks: Sequence[Task], times: Mapping[str, float]) -> float:
    """Return the time of the longest chain of dependent tasks; ``tasks`` lists inputs first."""
    ends: dict[str, float] = {}
    for task in tasks:
        before = [ends.get(earlier.key, 0.0) for earlier in task.inputs.values()]
        ends[task.key] = max(before, default=0.0) + times.get(task.key, 0.0)
    return max(ends.values(), default=0.0)


def _row(stage: str, entries: list[tuple[Task, Cost]], made: Callable[[Task], bool], machine: Machine) -> Row:
    left = [(task, cost) for task, cost in entries if not made(task)]
    times = [measured.seconds(task, cost, machine) for task, cost in left]
    seconds = [time.seconds for time in times]
    return Row(
        stage=stage,
        artifacts=len(entries),
        done=len(entries) - len(left),
        work=_work([cost for _, cost in entries]),
        seconds=None if None in seconds or not machine.known else sum(filter(None, seconds)),
        gpu_bytes=max((cost.gpu_bytes for _, cost in left), default=0.0),
        host_bytes=max((cost.host_bytes for _, cost in left), default=0.0),
        disk_bytes=sum(cost.disk_bytes for _, cost in left),
        scratch_bytes=max((cost.scratch_bytes for _, cost in left), default=0.0),
        basis="measured" if any(time.measured for time in times) else "projected",
    )


def _work(costs: list[Cost]) -> str:
    """Format the work, with equal amounts combined: ``3 x 75,752 images in all epochs``."""
    amounts: dict[tuple[int, str], int] = {}
    for cost in costs:
        amounts[cost.items, cost.unit] = amounts.get((cost.items, cost.unit), 0) + 1
    return ", ".join(
        (f"{count} x " if count > 1 else "") + f"{items:,} {unit}" for (items, unit), count in amounts.items()
    )


def _notes(size: DatasetSize, rows: Sequence[Row], machine: Machine) -> list[str]:
    notes = []
    if not size.exact:
        notes.append(f"note: {size.train:,} training images are {size.source}")
    if machine.known and any(row.seconds is None for row in rows):
        notes.append("note: models or networks of these sizes were not counted, so their time is unknown")
    return notes
