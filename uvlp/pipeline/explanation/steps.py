"""The steps of a run: its tasks, in the order in which they start, grouped by stage and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import weights
from uvlp.artifacts.task import Task, chain
from uvlp.core import plugins
from uvlp.declarations.reading import docstring
from uvlp.pipeline.explanation.settings import Setting, described, sections
from uvlp.pipeline.planning.contenders import Method
from uvlp.pipeline.planning.spread import in_order
from uvlp.pipeline.prepare import Plan
from uvlp.recipes.schema import SynthesisSettings

FINETUNING = "stable-diffusion"
"""The part of stage `finetune` that is no file of `uvlp/models`."""
REFERENCE = re.compile(r"\b(methods|evaluation)\.md ([A-Z]|\d+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A run with a part of its changes made.

    Attributes:
        label: what changed since the version before.
        plan: of the run.
        method: the method with its settings.
        notes: whether it equals another method in this run.
    """

    label: str
    plan: Plan
    method: Method
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Tasks of one stage with the same settings.

    Attributes:
        stage: file in `uvlp/stages`.
        parts: what the stage makes or uses: parts of the models, a captioner, a protocol.
        text: what it does, one sentence.
        artifacts: number of its artifacts.
        published: whether the papers' chain has this step.
        settings: all of its settings.
    """

    stage: str
    parts: tuple[str, ...]
    text: str
    artifacts: int
    published: bool
    settings: tuple[Setting, ...]


def steps(versions: Sequence[Version], papers: Version | None) -> list[Step]:
    """Return the steps of the last version.

    Args:
        versions: the run with more and more of its changes made.
        papers: the run of the papers' recipe; None if the method is not published.
    """
    groups: dict[tuple[str, Any], list[Task]] = {}
    started = list(_started(versions[-1].plan))
    # What only saves work belongs to the step that reads it.
    saving = {task.inputs[name].key for task in started for name in task.unhashed}
    for task in started:
        if task.key not in saving:
            groups.setdefault((task.stage, task.settings), []).append(task)
    published = None if papers is None else _settings(papers)
    return [_step(tasks, versions, published) for tasks in groups.values()]


def _started(plan: Plan) -> Iterator[Task]:
    """Yield the tasks of a plan, each after its inputs, otherwise in the order in which a run starts them."""
    started: set[str] = set()
    for task in in_order(plan.tasks):
        for each in chain(task):
            if each.key not in started:
                started.add(each.key)
                yield each


def _settings(version: Version) -> dict[tuple[str, str], Any]:
    """Return the settings of a run by stage and plug-in."""
    return {(task.stage, task.plugin): task.settings for task in version.plan.tasks}


def _step(
    tasks: Sequence[Task], versions: Sequence[Version], published: Mapping[tuple[str, str], Any] | None
) -> Step:
    task, method = tasks[0], versions[-1].method
    here = task.stage, task.plugin
    found: tuple[Setting, ...] = ()
    if task.settings is not None:
        name = _section(task, versions[-1])
        known = [(version.label, _at(version, here, name)) for version in versions]
        own = (_source(method), method.declared.synthesis) if _is_synthesis(task) else None
        found = tuple(described(name, known, (published or {}).get(here), own=own))
    parts = dict.fromkeys(task.plugin for task in tasks)
    return Step(
        stage=task.stage,
        parts=tuple(part for part in parts if part and part != method.name),
        text=_text(task),
        artifacts=len(tasks),
        published=published is None or here in published,
        settings=found,
    )


def _section(task: Task, version: Version) -> str:
    """Return the prefix of a task's settings for `--set`."""
    known = sections(version.plan.recipe, version.method)
    return next(name for name, settings in known.items() if type(settings) is type(task.settings))


def _at(version: Version, here: tuple[str, str], name: str) -> Any:
    """Return the settings of a step, or what they would be in a version without that step."""
    return _settings(version).get(here) or sections(version.plan.recipe, version.method)[name]


def _is_synthesis(task: Task) -> bool:
    return isinstance(task.settings, SynthesisSettings)


def _source(method: Method) -> str:
    """Return the section that a method's docstring names, as the source of the defaults that it declares."""
    origin = method.declared.origin
    return ", ".join(f"{file}.md {number}" for file, number in references(docstring(origin))) or origin.file


def references(text: str) -> list[tuple[str, str]]:
    """Return the sections of the specification that a text names: ``[("methods", "B")]``."""
    return REFERENCE.findall(text)


def _text(task: Task) -> str:
    """Return the first line of the docstring of the task's part, or of its stage."""
    stage = plugins.find("stages", task.stage)
    match task.stage:
        case "caption" if task.plugin in plugins.names("captioners"):
            return docstring(plugins.find("captioners", task.plugin))
        case "finetune" if task.plugin == FINETUNING:
            return docstring(plugins.find("models/finetuning", "job"))
        case "finetune":
            return docstring(plugins.find(*weights.FILES[task.plugin].rsplit("/", 1)))
        case "evaluate":
            return docstring(plugins.find("protocols", task.plugin))
    return docstring(stage).removeprefix(f"{stage.name}: ")
