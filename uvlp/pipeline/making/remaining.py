"""What a run has to make: artifacts that are missing or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uvlp.artifacts import distilled
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.pipeline.planning.spread import in_order
from uvlp.pipeline.prepare import Plan


def damage(plan: Plan, store: Store) -> Iterator[tuple[Task, str]]:
    """Yield the damaged artifacts of the chain, each with its damaged file and the reason.

    What only saves work comes last, and only if something that reads it is missing or was deleted by the
    caller.
    """
    every = list(chain(plan.goal))
    readers: dict[str, list[Task]] = {}
    for task in every:
        for name in task.unhashed:
            readers.setdefault(task.inputs[name].key, []).append(task)
    for task in sorted(every, key=lambda task: task.key in readers):
        of_it = readers.get(task.key, [])
        if store.has(task) and not (of_it and all(map(store.has, of_it))):
            wrong = store.damage(task)
            if wrong is not None:
                yield task, wrong


def damaged(task: Task, name: str, fix: str) -> UvlpError:
    """Return the error for a damaged file of an artifact."""
    return UvlpError(f"damaged artifact {task.name} ({task.title}): {name} is missing or changed", fix=fix)


def find_damage(plan: Plan, store: Store, force: bool) -> list[Task]:
    """Compare every finished artifact of the chain with its manifest; return the tasks to rebuild.

    With ``force`` damaged artifacts are deleted, and missing inputs of finished artifacts are rebuilt too.

    Raises:
        UvlpError: an artifact is damaged and ``force`` is off.
    """
    deleted = []
    for task, name in damage(plan, store):
        if not force:
            raise damaged(task, name, "re-run the command with --force to rebuild it")
        messages.note(f"{task.name}: {name} is damaged, rebuilding")
        aside = store.remove(task)
        if aside:
            messages.note(f"{task.name}: files that its manifest does not list are in {aside}")
        deleted.append(task)
    if force:
        deleted += _gone(plan, store, deleted)
    goal = plan.goal
    if deleted and goal not in deleted and goal.stage == "tabulate" and store.has(goal):
        messages.note(f"{goal.name}: rebuilding from the rebuilt artifacts")
        store.remove(goal)
        deleted.append(goal)
    store.save_verified()
    return deleted


def _gone(plan: Plan, store: Store, deleted: Sequence[Task]) -> list[Task]:
    """Return missing inputs of finished artifacts, left by an interrupted rebuild.

    A table made without them would lack their counts.
    """
    known = {task.key for task in deleted}
    absent = {
        earlier.key: earlier
        for task in filter(store.has, chain(plan.goal))
        for earlier in task.hashed.values()
        if earlier.key not in known and not store.has(earlier)
    }
    for task in absent.values():
        messages.note(f"{task.name}: missing input of finished artifacts, rebuilding")
    return list(absent.values())


def missing(plan: Plan, store: Store, rebuild: Sequence[Task] = ()) -> list[Task]:
    """Return the tasks to run: missing targets and their missing inputs.

    The targets are the artifacts of the last requested stage, and ``rebuild``.
    """
    tasks, last = plan.tasks, targets(plan)
    wanted = [task for task in tasks if task in last or task in rebuild] or tasks
    needed: set[str] = set()

    def want(task: Task) -> None:
        if task.key in needed or store.has(task):
            return
        needed.add(task.key)
        for earlier in task.inputs.values():
            want(earlier)

    for target in wanted:
        want(target)
    return in_order([task for task in tasks if task.key in needed])


def targets(plan: Plan) -> list[Task]:
    """Return the tasks of the last requested stage."""
    return [task for task in plan.tasks if _is_target(task, plan.until)]


def _is_target(task: Task, until: str) -> bool:
    """Return whether a task makes what a run up to a stage is for; several stages make images."""
    return task.kind == distilled.KIND if until == "synthesise" else task.stage == until
