"""An explanation as one page of plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any

from uvlp.core.wording import byte_size, duration
from uvlp.pipeline.estimates.report import Row
from uvlp.pipeline.explanation.explain import Explanation
from uvlp.pipeline.explanation.settings import Setting
from uvlp.pipeline.explanation.steps import Step

WIDTH, HEIGHT = 100, 60
"""Characters of a line, and lines: what a page holds."""
LEGEND = (
    "Settings: name value [source]; * not the default, † not the papers', the other value in brackets; "
    "[ours]: no step of the papers; M, E: methods.md, evaluation.md"
)
SHORT = {"methods.md": "M", "evaluation.md": "E"}
"""Pages that most sources name."""
PLAIN = re.compile(r"[\w.,+-]+")
COMMIT = re.compile(r"(?<=\b[0-9a-f]{12})[0-9a-f]{28}\b")
"""All but the first digits of one."""


def lines(explanation: Explanation, width: int | None = None) -> Iterator[str]:
    """Yield the lines of the page, which is `WIDTH` columns wide, or ``width`` if that is less."""
    for text in _page(explanation):
        indent = " " * (len(text) - len(text.lstrip()))
        yield from _wrapped(text.strip(), min(width or WIDTH, WIDTH), indent)


def _page(explanation: Explanation) -> Iterator[str]:
    """Yield the paragraphs of the page, with a blank before those below a title."""
    yield brief(explanation.text)
    if explanation.variant:
        yield f"{explanation.title}: {explanation.variant}."
    yield from explanation.notes
    yield "; ".join(_origins(explanation))
    recipe = explanation.recipe
    run = f"on {recipe.dataset} at {recipe.ipc} images per class, profile {recipe.profile}"
    yield f"Steps as it would run {run}. {LEGEND}"
    yield " " + _settings(explanation.run, "the run")
    settings = [step.settings for step in explanation.steps]
    for number, step in enumerate(explanation.steps, 1):
        yield f" {_step(number, step, settings.index(step.settings) + 1)}"
    yield "Reads"
    for kind, text in explanation.reads.items():
        yield f" {kind}: {COMMIT.sub('', text)}"
    yield "Deviations (paper_tables/deviations.md)"
    yield " " + _deviations(explanation)
    yield from _cost(explanation)
    yield from _made(explanation)


def brief(text: str) -> str:
    """Return a source or a text with the names of the pages in one letter, and without its details."""
    for page, letter in SHORT.items():
        text = text.replace(f"{page} ", f"{letter} ")
    return next((word for word in ("recipe", "ours") if text.startswith((f"{word} of ", f"{word}: "))), text)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    further = f"{indent}  " if indent else ""
    return wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=further,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _origins(explanation: Explanation) -> Iterator[str]:
    """Yield where the method is described and where it was measured."""
    if explanation.follows:
        yield f"follows paper_tables/spec: {', '.join(explanation.follows)}"
    if explanation.published_in:
        yield f"accuracies published in {', '.join(explanation.published_in)}"


def _step(number: int, step: Step, first: int) -> str:
    """Return a step, and its settings if it is the ``first`` step with these."""
    name = step.stage + (f" ({', '.join(step.parts)})" if step.parts else "")
    ours = "" if step.published else " [ours]"
    count = f" {step.artifacts} artifacts." if step.artifacts > 1 else ""
    text = f"{number}. {name}{ours}: {brief(step.text.rstrip('.'))}.{count}"
    if not step.settings:
        return text
    section, _, _ = step.settings[0].path.rpartition(".")
    again = f"{section}: as in step {first}"
    return f"{text} {again if first < number else _settings(step.settings, section)}"


def _settings(settings: Iterable[Setting], title: str) -> str:
    """Return settings grouped by source: ``evaluate: lr 0.01, batch 64 [evaluation.md 1]; flip 0 [ours]``."""
    by_source: dict[str, list[str]] = {}
    for setting in settings:
        by_source.setdefault(setting.source, []).append(_setting(setting))
    groups = (f"{', '.join(shown)} [{brief(source)}]" for source, shown in by_source.items())
    return f"{title}: {'; '.join(groups)}"


def _setting(setting: Setting) -> str:
    name = setting.path.rpartition(".")[2] if setting.path != "models.precision" else setting.path
    others = [setting.default] * setting.changed
    if (
        setting.departs
        and setting.published is not None
        and setting.published not in (setting.value, *others)
    ):
        others.append(setting.published)
    marks = "*" * setting.changed + "†" * setting.departs
    shown = f" ({', '.join(map(_value, others))})" if others else ""
    return f"{name} {_value(setting.value)}{marks}{shown}"


def _value(value: Any) -> str:
    """Return a value as `--set` takes it, in quotes if it is empty or has blanks."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or '""'
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _deviations(explanation: Explanation) -> str:
    """Return those of the method by name, and the numbers of those of every method in such a run."""
    parts = [f"{each.number} {each.name}" for each in explanation.deviations if each.methods]
    others = _ranges(each.number for each in explanation.deviations if not each.methods)
    if others:
        parts.append(f"of every method in such a run {', '.join(others)}")
    return "; ".join(parts)


def _ranges(numbers: Iterable[str]) -> list[str]:
    """Return consecutive numbers as one text: ``D-04, D-24 to D-33``."""
    found: list[list[int]] = []
    for number in (int(number.partition("-")[2]) for number in numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return [
        text
        for run in found
        for text in (
            [f"D-{run[0]:02} to D-{run[-1]:02}"] if len(run) > 2 else [f"D-{each:02}" for each in run]
        )
    ]


def _cost(explanation: Explanation) -> Iterator[str]:
    """Yield the estimate for this machine by stage, and the totals of this one and of a GPU."""
    recipe = explanation.recipe
    if not explanation.costs:
        yield f"Cost: unknown until {recipe.dataset} is opened; `uvlp reproduce --dry-run` opens it."
        return
    here, card = explanation.costs
    yield f"Cost here: time, memory, disk ({here.machine.name}; {here.basis})"
    in_all = f"in all {_sizes(here.seconds, here.host_bytes, here.disk_bytes)}"
    yield " " + "; ".join([*map(_of_stage, here.rows), in_all])
    of_card = _sizes(card.seconds, card.gpu_bytes, card.disk_bytes)
    downloaded = sum(each.bytes or 0 for each in here.fetched)
    downloads = f"; downloads {byte_size(downloaded)}" if downloaded else ""
    yield f" on one {card.machine.name}: time, GPU memory, disk {of_card}{downloads}"


def _made(explanation: Explanation) -> Iterator[str]:
    """Yield the devices of what the store has of the method in such a run, whatever the settings."""
    if not explanation.devices:
        return
    yield "Made on, in tables of the store with this dataset and IPC (number of artifacts)"
    stages = [
        f"{stage}: {', '.join(f'{device} ({count})' for device, count in counts.items())}"
        for stage, counts in explanation.devices.items()
    ]
    yield f" {'; '.join(stages)}"
    if len({device for counts in explanation.devices.values() for device in counts}) > 1:
        yield " several types of devices round differently: a table of both says so under it"


def _of_stage(row: Row) -> str:
    return f"{row.stage} {_sizes(row.seconds, row.host_bytes, row.disk_bytes + row.scratch_bytes)}"


def _sizes(seconds: float | None, *sizes: float) -> str:
    return ", ".join([duration(seconds), *(byte_size(round(size)) if size > 0 else "-" for size in sizes)])
