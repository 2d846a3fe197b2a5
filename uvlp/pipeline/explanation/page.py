"""An explanation as one page of plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from textwrap import shorten, wrap
from typing import Any

from uvlp.core.wording import byte_size
from uvlp.pipeline.estimates.report import Estimate, Row, duration
from uvlp.pipeline.explanation.explain import Explanation
from uvlp.pipeline.explanation.settings import Setting
from uvlp.pipeline.explanation.steps import Step

WIDTH = 100
LEGEND = (
    "name value [source]; * not the default, † not as in the papers' recipe, each with the other value in "
    "brackets; a step [ours] is not in the papers' chain"
)
PLAIN = re.compile(r"[\w.,+-]+")


def lines(explanation: Explanation) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from _wrapped(explanation.text)
    yield from _wrapped("; ".join(_origins(explanation)))
    recipe = explanation.recipe
    yield f"As it would run on {recipe.dataset} at {recipe.ipc} images per class, profile {recipe.profile}."
    yield ""
    yield from _wrapped(f"Steps, with settings as {LEGEND}")
    yield from _wrapped(_settings(explanation.run, "the run"), " ")
    settings = [step.settings for step in explanation.steps]
    for number, step in enumerate(explanation.steps, 1):
        yield from _step(number, step, settings.index(step.settings) + 1)
    yield ""
    yield "Reads"
    for kind, text in explanation.reads.items():
        yield from _wrapped(f"{kind}: {text}", " ")
    yield ""
    yield "Deviations (paper_tables/deviations.md)"
    yield from _deviations(explanation)
    yield ""
    yield from _cost(explanation)


def _wrapped(text: str, indent: str = "") -> list[str]:
    further = f"{indent}  " if indent else ""
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False)


def _origins(explanation: Explanation) -> Iterator[str]:
    """Yield where the method is described and where it was measured."""
    if explanation.follows:
        yield f"follows paper_tables/spec: {', '.join(explanation.follows)}"
    if explanation.published_in:
        yield f"accuracies published in {', '.join(explanation.published_in)}"


def _step(number: int, step: Step, first: int) -> Iterator[str]:
    """Yield what a step does, and its settings if it is the ``first`` step with these."""
    name = step.stage + (f" ({', '.join(step.parts)})" if step.parts else "")
    ours = "" if step.published else " [ours]"
    count = f" {step.artifacts} artifacts." if step.artifacts > 1 else ""
    text = step.text if step.text.endswith(".") else f"{step.text}."
    yield from _wrapped(f"{number}. {name}{ours}: {text}{count}", " ")
    if step.settings:
        section, _, _ = step.settings[0].path.rpartition(".")
        again = f"{section}: as in step {first}"
        yield from _wrapped(again if first < number else _settings(step.settings, section), "   ")


def _settings(settings: Iterable[Setting], title: str) -> str:
    """Return settings grouped by source: ``evaluate: lr 0.01, batch 64 [evaluation.md 1]; flip 0 [ours]``."""
    by_source: dict[str, list[str]] = {}
    for setting in settings:
        by_source.setdefault(setting.source, []).append(_setting(setting))
    groups = (f"{', '.join(shown)} [{source}]" for source, shown in by_source.items())
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


def _deviations(explanation: Explanation) -> Iterator[str]:
    """Yield those of the method, two a line by their beginnings, and the numbers of those of every method."""
    column = WIDTH // 2 - 1
    own = [
        shorten(f"{each.number} {each.what}", column - 1, placeholder=" ...")
        for each in explanation.deviations
        if each.methods
    ]
    for first, second in zip_longest(own[::2], own[1::2], fillvalue=""):
        yield f" {first:<{column}} {second}".rstrip()
    others = [each.number for each in explanation.deviations if not each.methods]
    if others:
        yield from _wrapped(f"of every method in such a run: {', '.join(others)}", " ")


def _cost(explanation: Explanation) -> Iterator[str]:
    """Yield the estimates for two machines side by side, by stage."""
    recipe = explanation.recipe
    if not explanation.costs:
        yield f"Cost: unknown until {recipe.dataset} is opened; `uvlp reproduce --dry-run` opens it."
        return
    here, card = explanation.costs
    there = f"there ({card.machine.name}; {card.basis})"
    yield from _wrapped(f"Cost here ({here.machine.name}; {here.basis}) and {there}")
    body = [HEAD, *map(_row, here.rows, card.rows)]
    host, disk, gpu = _sizes(here.host_bytes, here.disk_bytes, card.gpu_bytes)
    body.append(("total", duration(here.seconds), host, disk, duration(card.seconds), gpu))
    yield from _columns(body)
    yield from _downloads(here)


HEAD = ("stage", "time here", "memory", "disk", "time there", "GPU memory")


def _row(here: Row, card: Row) -> tuple[str, ...]:
    host, disk, gpu = _sizes(here.host_bytes, here.disk_bytes + here.scratch_bytes, card.gpu_bytes)
    return here.stage, duration(here.seconds), host, disk, duration(card.seconds), gpu


def _sizes(*sizes: float) -> list[str]:
    return [byte_size(round(size)) if size > 0 else "-" for size in sizes]


def _columns(body: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(cells[column]) for cells in body) for column in range(len(body[0]))]
    for cells in body:
        yield " " + "  ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)).rstrip()


def _downloads(estimate: Estimate) -> Iterator[str]:
    parts = [f"{each.what} {byte_size(each.bytes)}" for each in estimate.fetched if each.bytes]
    if parts:
        yield from _wrapped(f"downloads on a new machine: {', '.join(parts)}", " ")
