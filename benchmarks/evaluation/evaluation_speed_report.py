"""The report of evaluation_speed.py: one table per case, the ratios, every run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.evaluation.evaluation_speed import Measured

HEAD = """# Speed of the Minimax evaluator

slow: `benchmarks/parity/slow_evaluator.py`, one image at a time in loader processes, as the reference does;
ours: `uvlp/protocols/minimax.py`; floor: the network's forward and backward passes and its validation forward
alone, eager, on prepared batches. Wall-clock medians of {repetitions} alternating runs of a short
schedule; the full schedule is scaled from epoch, pass and the one-time overhead (start of the loader
processes, tuning of convolutions, import of libraries; for ours also preparing the validation images).

- Hardware: {hardware}; {versions}
- Commit: {commit}; load average at the start {load}
- Command: `python -m benchmarks.evaluation.evaluation_speed{arguments}`
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def case_report(measured: Measured) -> str:
    """The figures of a case and the ratios."""
    case, names = measured.case, ("epoch_s", "pass_s", "once_s", "processor_s")
    head = ["", "epoch, ms", "pass, ms", "once, s", "processor time of a short run, s", "full schedule, s"]
    rows = []
    for side in measured.runs:
        epoch, validation, once, processor = (measured.median(side, name) for name in names)
        cells = [f"{1000 * epoch:.1f}", f"{1000 * validation:.1f}", f"{once:.2f}", f"{processor:.1f}"]
        rows.append([side, *cells, f"{measured.whole_s(side):.1f}"])
    for first, second in (("slow", "ours"), ("ours", "floor")):
        ratio = measured.whole_s(first) / measured.whole_s(second)
        ratios = [
            f"{measured.median(first, name) / measured.median(second, name):.2f}" if name != "once_s" else ""
            for name in names
        ]
        rows.append([f"{first} / {second}", *ratios, f"**{ratio:.2f}**"])
    settings, (epochs, passes) = case.settings, case.schedule
    width = f" of width {settings.width}" if settings.width else ""
    return (
        f"\n## {case.title}, {case.network}{width}\n\n{len(case.train.labels)} training and "
        f"{len(case.validation.labels)} validation images; run: {settings.epochs} epochs, "
        f"{settings.validations} passes; scaled to {epochs} epochs, {passes} passes; loader processes "
        f"{case.workers[0]} and {case.workers[1]}; validation images prepared once in "
        f"{measured.preparation_s:.1f} s (ours).\n\n{table(head, rows)}{gpu_report(measured)}\n"
        f"{single_runs(measured)}"
    )


def gpu_report(measured: Measured) -> str:
    """Utilisation and peak memory of the GPU; nothing on a CPU."""
    if measured.case.device == "cpu":
        return ""
    names = {"slow": measured.median("slow", "utilisation_pct"), "ours": measured.busy_pct}
    busy = ", ".join(f"{side} {value:.0f} %" for side, value in names.items())
    memory = ", ".join(f"{side} {measured.median(side, 'memory_mb'):.0f} MB" for side in names)
    return f"\nGPU utilisation between two passes and in the last one: {busy}. Peak GPU memory: {memory}.\n"


def single_runs(measured: Measured) -> str:
    """Every run, scaled to the full schedule."""
    schedule = measured.case.schedule
    sides = (
        f"{side} " + ", ".join(f"{run.whole_s(schedule):.1f}" for run in runs)
        for side, runs in measured.runs.items()
    )
    return f"Single runs scaled to the full schedule, s: {'; '.join(sides)}.\n"
