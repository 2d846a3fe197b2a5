"""The time of a run by method: what only one of them needs, and what several share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from uvlp.core.wording import duration
from uvlp.pipeline.prepare import Plan

SHARED = "shared by several"


@dataclass(frozen=True, slots=True)
class Share:
    """Processor or card time of the missing artifacts that only one method needs.

    Attributes:
        method: its name with variants, or `SHARED`.
        seconds: None if a part of it is unknown.
    """

    method: str
    seconds: float | None


def of_methods(plan: Plan, seconds: Mapping[str, float | None]) -> tuple[Share, ...]:
    """Return the time of every method of a table, and that of shared artifacts.

    Args:
        plan: of a run; one that makes no table has no shares.
        seconds: of the missing artifacts by key; None: unknown.
    """
    cells = plan.goal.facts.get("cells", ())
    used_by: dict[str, set[str]] = {}
    for cell in cells:
        for name in cell["scores"]:
            used_by.setdefault(plan.goal.inputs[name].key, set()).add(cell["method"])
    total: dict[str, float | None] = dict.fromkeys([*(cell["method"] for cell in cells), SHARED], 0.0)
    for task in reversed(plan.tasks):
        methods = used_by.get(task.key, set())
        for earlier in task.inputs.values():
            used_by.setdefault(earlier.key, set()).update(methods)
        if methods and task.key in seconds:
            name = next(iter(methods)) if len(methods) == 1 else SHARED
            before, own = total[name], seconds[task.key]
            total[name] = None if before is None or own is None else before + own
    return tuple(Share(name, value) for name, value in total.items())


def lines(shares: Sequence[Share]) -> Iterator[str]:
    """Yield a line with the time of every method, if there are several."""
    if len(shares) > 2:
        parts = [f"{share.method} {duration(share.seconds)}" for share in shares if share.seconds != 0]
        if parts:
            yield f"by method, one process: {', '.join(parts)}"
