"""The table of digits with the arithmetic of other processors: one run per setting of `settings.py`.

    .venv/bin/python -m tests.processors.digits               every setting that is not recorded yet
    .venv/bin/python -m tests.processors.digits mkl glibc     repeat these settings
    .venv/bin/python -m tests.processors.digits --report      only write the report from the records

A run took 8 minutes on two busy cores, with `--portable` 16. Accuracies and verdicts are written to
`paper_tables/measured/processors/digits.jsonl`, one line per setting, and the report next to it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.processors.settings import SETTINGS, lacking

FOLDER = Path(__file__).resolve().parents[2] / "paper_tables" / "measured" / "processors"
RECORDS, REPORT = FOLDER / "digits.jsonl", FOLDER / "digits.md"
METHODS = ("full", "random", "k-center", "herding", "d4m", "vlcp", "uvlp")
WHICH = ("best", "last")
WIDEST = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX"}
HEAD = """# Digits, IPC 10, on other processors

One run of `uvlp reproduce digits 10 --method {methods}`
from an empty store for each setting below, on {processors}; `.venv/bin/python -m tests.processors.digits`
measures the other settings of `tests/processors/settings.py`. `portable` is the option `--portable`.
A setting makes this processor compute with the instructions of another, so the range is what another
machine may show; it is no bound. Percent of 490 test images, mean of three trainings.
"""


def reproduce(setting: str) -> dict[str, Any]:
    """Run the digits with a setting; return the compared part of the table."""
    portable = setting == "portable"
    with tempfile.TemporaryDirectory() as store:
        arguments = ["reproduce", "digits", "10", "--method", ",".join(METHODS), "--store", store, "--json"]
        completed = subprocess.run(
            [sys.executable, "-m", "uvlp", *arguments, *["--portable"] * portable],
            env={**os.environ, **({} if portable else SETTINGS[setting])},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
    table = json.loads(completed.stdout)["table"]
    return {
        "setting": setting,
        "processor": _processor(),
        "means": {cell["method"]: [cell[which]["mean_pct"] for which in WHICH] for cell in table["cells"]},
        "verdicts": {
            method: [one["verdict"] for one in table["comparisons"] if one["method"] == method]
            for method in METHODS
            if method != "random"
        },
    }


def _processor() -> str:
    """Return its name and widest vector instructions, in which processors of one name may differ."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    widest = next((shown for flag, shown in WIDEST.items() if flag in flags), "SSE")
    return f"{facts.get('model name', 'unknown')} with {widest}"


def read_records() -> dict[str, dict[str, Any]]:
    """Return the records by setting."""
    if not RECORDS.exists():
        return {}
    records = map(json.loads, RECORDS.read_text(encoding="utf-8").splitlines())
    return {record["setting"]: record for record in records}


def record(one: Mapping[str, Any]) -> None:
    """Write the record of a run, replacing an earlier one of its setting."""
    known = {**read_records(), one["setting"]: one}
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(known[name]) + "\n" for name in SETTINGS if name in known]
    RECORDS.write_text("".join(lines), encoding="utf-8")


def report(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the ranges, then every setting, as Markdown."""
    processors = ", ".join(sorted({one["processor"] for one in records.values()}))
    lines = [HEAD.format(processors=processors, methods=",".join(METHODS))]
    lines += _grid(["method", "best", "last", "verdicts against random: best", "last"], _ranges(records))
    for index, which in enumerate(WHICH):
        rows = [
            [name, *[f"{one['means'][method][index]:.1f}" for method in METHODS]]
            for name, one in records.items()
        ]
        lines += ["", f"{which.capitalize()} accuracy for each setting:", ""]
        lines += _grid(["setting", *METHODS], rows)
    return "\n".join(lines) + "\n"


def _ranges(records: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    return [[method, *ranges(records, method), *_verdicts(records, method)] for method in METHODS]


def ranges(records: Mapping[str, Mapping[str, Any]], method: str) -> list[str]:
    """Return the range of a method's means over all settings, best then last, e.g. "93.9 to 94.4"."""
    texts = []
    for index in range(len(WHICH)):
        means = [one["means"][method][index] for one in records.values()]
        low, high = f"{min(means):.1f}", f"{max(means):.1f}"
        texts.append(low if low == high else f"{low} to {high}")
    return texts


def _verdicts(records: Mapping[str, Mapping[str, Any]], method: str) -> list[str]:
    """Return how often each verdict was given, e.g. "better 7, cannot tell 3"."""
    if method == "random":
        return ["", ""]
    texts = []
    for index in range(len(WHICH)):
        given = [one["verdicts"][method][index] for one in records.values()]
        texts.append(", ".join(f"{verdict} {given.count(verdict)}" for verdict in sorted(set(given))))
    return texts


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def main() -> None:
    """Measure the requested settings, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--report", action="store_true", help="only write the report")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.settings if name not in SETTINGS]:
        parser.error(f"unknown setting: {', '.join(unknown)}; allowed: {', '.join(SETTINGS)}")
    missing = [name for name in SETTINGS if name not in read_records() and not lacking(name)]
    for name in [] if chosen.report else chosen.settings or missing:
        print(f"=== {name}", flush=True)
        record(reproduce(name))
    REPORT.write_text(report(read_records()), encoding="utf-8")
    print(REPORT)


if __name__ == "__main__":
    main()
