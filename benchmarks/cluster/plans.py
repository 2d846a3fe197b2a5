"""The jobs of a run as the launcher `slurm` makes them, with the times of the estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from benchmarks.cluster import finetuning
from benchmarks.cluster.events import Conditions, Job
from uvlp.artifacts.task import Task
from uvlp.declarations.launcher import Job as LauncherJob
from uvlp.launchers.jobs.grouping import Group, group
from uvlp.launchers.jobs.limits import RESUMED
from uvlp.launchers.jobs.precedence import started_before
from uvlp.pipeline import names
from uvlp.pipeline.estimates.cards import Machine
from uvlp.pipeline.estimates.cost import RunContext
from uvlp.pipeline.estimates.needs import of_plan, on_cards
from uvlp.pipeline.estimates.stages import STAGES
from uvlp.pipeline.planning.pieces import Divided, Piece, divided, task_of
from uvlp.pipeline.planning.spread import in_order
from uvlp.pipeline.prepare import Plan, outline
from uvlp.recipes.dataset_size import DatasetSize

DATASETS = ("imagenette", "imagenet1k", "imagenet21k")
LARGE = DatasetSize(
    classes=21_841, train=14_197_122, val=0, exact=False, source="ImageNet, winter 2011: 21,841 classes"
)
IPC = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Options of a run: `--gpus-per-finetune`, `launcher.node_gpus` and `launcher.job_minutes`."""

    finetune: int
    node_gpus: int
    job_minutes: int


@cache
def plan_of(dataset: str, seeds: tuple[int, ...]) -> Plan:
    """Return the plan of `uvlp reproduce DATASET 10 --seeds ...` on a machine that has nothing yet."""
    recipe = names.default_recipe("imagenet1k" if dataset == "imagenet21k" else dataset, IPC)
    plan = outline(names.check(replace(recipe, seeds=seeds)))
    return replace(plan, size=LARGE) if dataset == "imagenet21k" else plan


def disk_bytes(plan: Plan, card: Machine) -> float:
    """Return the estimated disk usage of all artifacts, without downloads."""
    assert plan.size is not None
    context = RunContext(plan.recipe, plan.size, card)
    costs = [STAGES[task.stage](task, context) for task in plan.tasks if task.stage in STAGES]
    return sum(cost.disk_bytes for cost in costs) + max(cost.scratch_bytes for cost in costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds by key of a task: on one card, on its cards, and of the latter those of the exchange."""

    alone: Mapping[str, float]
    seconds: Mapping[str, float]
    exchange: Mapping[str, float]


def times_of(plan: Plan, card: Machine, finetune_cards: int, conditions: Conditions) -> Times:
    """Return the times of all tasks."""
    assert plan.size is not None
    alone = {key: 60.0 * (needs.minutes or 0.0) for key, needs in of_plan(plan, card).items()}
    seconds, exchange = dict(alone), {}
    for task in plan.tasks:
        if on_cards(task, 2).cards == 2:
            time = finetuning.on_cards(
                task.settings, plan.size.train, alone[task.key], finetune_cards, conditions
            )
            seconds[task.key], exchange[task.key] = time.seconds, time.exchange_s
    return Times(alone=alone, seconds=seconds, exchange=exchange)


def jobs_of(plan: Plan, card: Machine, chosen: Chosen, conditions: Conditions) -> list[Job]:
    """Return the jobs of a plan as the launcher makes them, in the order of their submission."""
    times = times_of(plan, card, chosen.finetune, conditions)
    least_s, seconds = 60.0 * chosen.job_minutes, dict(times.seconds)
    jobs = divided(in_order(plan.tasks), seconds, least_s)
    groups = group(jobs, seconds, least_s, cards=lambda job: on_cards(_task(job), chosen.finetune).cards)
    of_key = {task.key: row for row, each in enumerate(groups) for task in each.tasks}
    first = started_before(groups, lambda each: _cards(each, chosen), 1)
    found = []
    for each in groups:
        cards = _cards(each, chosen)
        shared, parts = _shared(each, plan)
        found.append(
            Job(
                stage=max(each.tasks, key=lambda task: seconds[task.key]).stage,
                cards=cards,
                nodes=max(1, -(-cards // chosen.node_gpus)),
                seconds=each.seconds,
                useful_s=sum(_useful_s(task, times.alone) for task in each.tasks),
                exchange_s=sum(times.exchange.get(task.key, 0.0) for task in each.tasks),
                before=frozenset(of_key[key] for key in each.needs),
                resumed=all(task.stage in RESUMED for task in each.tasks),
                begun=frozenset(of_key[key] for key in first.get(each.name, ())),
                shared=shared,
                parts=parts,
            )
        )
    return found


def _shared(each: Group, plan: Plan) -> tuple[str, int]:
    """Return the key of the task whose parts a job shares with others, and the number of its own parts."""
    (job, *more) = each.tasks
    if more or not isinstance(job, Piece) or not job.share.helps:
        return "", 0
    assert plan.size is not None
    settings = job.task.settings
    part = -(-settings.shard // settings.batch) * settings.batch
    return job.task.key, -(-plan.size.train // part // job.count)


def _cards(each: Group, chosen: Chosen) -> int:
    """Return the cards of a job: none if all of its tasks compute on the processor."""
    return max(on_cards(_task(task), chosen.finetune).cards for task in each.tasks)


def _task(job: LauncherJob) -> Task:
    assert isinstance(job, Task | Piece | Divided)
    return task_of(job)


def _useful_s(job: LauncherJob, alone: Mapping[str, float]) -> float:
    """Return the time of a job on one card; work of the processor, and copying of parts, are no use of it."""
    task = _task(job)
    if not on_cards(task).cards or isinstance(job, Divided):
        return 0.0
    return alone[task.key] / (job.count if isinstance(job, Piece) else 1)
