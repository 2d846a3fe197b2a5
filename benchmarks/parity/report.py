"""The parity study's report: setup, statistics, verdicts and every run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy

from benchmarks.parity import facts, intervals

MARGIN_POINTS = 0.7
SMALLEST = 8
QUANTITIES = (("best_pct", "best"), ("last_pct", "last"))

HEAD = """# Parity of our Minimax evaluator with one written the slow way

Both follow `paper_tables/spec/evaluation.md`, section 1, independently: `benchmarks/parity/slow_evaluator.py`
transforms one image at a time with PIL and torchvision in loader processes, ours whole batches on the device.
They share the network's definition and the settings, nothing else; random streams and seeds differ, so
single runs differ and their distributions are compared.

Criteria, fixed before the runs: the 95 % interval of the difference of means (Welch) is inside
±{margin} points, and the 95 % interval of the variance ratio contains 1. Accuracies near 100 % are skewed,
so the variance ratio is judged by Bonett's interval (2006), which needs no normality; the F interval is
shown too. `best` is the protocol's headline, the largest accuracy of all passes; `last` that of the last
epoch.
"""


def report(lines: list[dict[str, Any]], setup: dict[str, Any], command: str, note: str = "") -> str:
    """Markdown of the finished runs ``lines`` of one setup, made with ``command``; with an optional note."""
    parts = [HEAD.format(margin=MARGIN_POINTS), _circumstances(lines, setup, command)]
    parts += [f"- Note: {note}\n"] if note else []
    slow, ours = (_side(lines, side) for side in ("slow", "ours"))
    if min(len(slow), len(ours)) < SMALLEST:
        parts.append(
            f"{len(slow)} and {len(ours)} runs finished: too few to judge, {SMALLEST} per side are needed."
        )
    else:
        parts += [_statistics(slow, ours), _verdicts(slow, ours)]
    return "\n".join([*parts, _cost(slow, ours), _every_run(slow, ours)])


def _side(lines: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    return sorted((line for line in lines if line["side"] == side), key=lambda line: line["run"])


def _values(runs: list[dict[str, Any]], quantity: str) -> list[float]:
    return [line[quantity] for line in runs]


def _circumstances(lines: list[dict[str, Any]], setup: dict[str, Any], command: str) -> str:
    settings, defaults = setup["settings"], ("size_px", "width", "epochs", "validations", "batch", "flip")
    named = ", ".join(f"{name} {settings[name]}" for name in defaults)
    commits = ", ".join(sorted({line["commit"] for line in lines}))
    return (
        f"- Images: `random`, {setup['ipc']} per class of {setup['dataset']}, distillation seed 0; "
        f"network {setup['network']}; {named}; the other settings as published\n"
        f"- Hardware: {facts.hardware(setup['device'])}; {facts.versions()}\n"
        f"- Commit of the code that ran: {commits}\n"
        f"- Command: `OMP_NUM_THREADS=1 {command}`; "
        "the `.jsonl` next to this file has every run with its settings and its curve\n"
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _statistics(slow: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    rows = []
    for quantity, name in QUANTITIES:
        for side, runs in (("slow", slow), ("ours", ours)):
            values = numpy.asarray(_values(runs, quantity))
            spread = f"{values.std(ddof=1):.3f}"
            ends = f"{values.min():.2f} to {values.max():.2f}"
            rows.append([name, side, str(len(values)), f"{values.mean():.3f}", spread, ends])
    return "## Result\n\n" + _table(["accuracy, %", "side", "runs", "mean", "std (ddof 1)", "range"], rows)


def _verdicts(slow: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    rows = []
    for quantity, name in QUANTITIES:
        first, second = _values(ours, quantity), _values(slow, quantity)
        difference, (low, high) = intervals.difference(first, second)
        inside = low > -MARGIN_POINTS and high < MARGIN_POINTS
        rows.append([f"{name}: mean, ours - slow", f"{difference:+.3f}", _span(low, high), "", _word(inside)])
        ratio = intervals.variance_ratio(first, second)
        robust, normal = intervals.robust_interval(first, second), intervals.f_interval(first, second)
        contained = robust[0] <= 1 <= robust[1]
        cells = [f"{name}: variance, ours / slow", f"{ratio:.3f}", _span(*robust), _span(*normal)]
        rows.append([*cells, _word(contained)])
    head = ["quantity", "estimate", "95 % interval", "F interval (not judged)", "criterion"]
    return _table(head, rows)


def _span(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def _word(holds: bool) -> str:
    return "holds" if holds else "**does not hold**"


def _cost(slow: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    total = sum(line["processor_s"] for line in (*slow, *ours))
    medians = [numpy.median([line["processor_s"] for line in runs]) if runs else 0 for runs in (slow, ours)]
    return (
        f"Processor time of all runs: {total / 60:.0f} minutes ({medians[0]:.0f} s a run of the slow side, "
        f"{medians[1]:.0f} s of ours, medians, children included).\n"
    )


def _every_run(slow: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    rows = []
    for side, runs in (("slow", slow), ("ours", ours)):
        for quantity, name in QUANTITIES:
            rows.append([side, name, ", ".join(f"{value:.2f}" for value in _values(runs, quantity))])
    return "## Every run\n\n" + _table(["side", "accuracy, %", "runs 0, 1, ..."], rows)
