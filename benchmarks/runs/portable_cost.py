"""What `--portable` costs: digits with and without it, at the same time: the ratio of their times.

    python -m benchmarks.runs.portable_cost [--method random,vlcp,uvlp,full] [--profile tiny] [--record]

Both runs start at the same time in empty stores, each with one worker, so that other load on the machine
slows both equally. Processor time covers all processes of a run; stages are in wall-clock time.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.portable.hashes import manifests

REPORT = Path(__file__).parents[2] / "paper_tables" / "measured" / "benchmarks" / "portable_cost.md"
OPTIONS: dict[str, list[str]] = {"plain": [], "portable": ["--portable"]}


def start(arguments: list[str], store: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "uvlp", *arguments, "--store", str(store)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def processor_s(running: subprocess.Popen[bytes]) -> float:
    """Processor seconds of a run and its workers, once it has ended."""
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0, running.args
    return used.ru_utime + used.ru_stime


def stage_seconds(store: Path) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for each in manifests(store):
        found[each["stage"]] += each["made"]["seconds"]
    return found


def table(stages: dict[str, dict[str, float]], processor: dict[str, float]) -> str:
    rows = [(stage, stages["plain"][stage], stages["portable"][stage]) for stage in stages["plain"]]
    rows = [row for row in rows if min(row[1:]) >= 1]
    rows.append(("all, processor time", processor["plain"], processor["portable"]))
    lines = ["| stage | plain, s | portable, s | ratio |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {a:.0f} | {b:.0f} | {b / a:.2f} |" for name, a, b in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", default="random,vlcp,uvlp,full")
    parser.add_argument("--profile", default="tiny")
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    chosen = parser.parse_args()
    arguments = ["reproduce", "digits", "10", "--workers", "1", "--method", chosen.method]
    arguments += ["--profile", chosen.profile]
    with tempfile.TemporaryDirectory() as folder:
        stores = {name: Path(folder) / name for name in OPTIONS}
        running = {name: start([*arguments, *OPTIONS[name]], stores[name]) for name in OPTIONS}
        processor = {name: processor_s(process) for name, process in running.items()}
        result = table({name: stage_seconds(store) for name, store in stores.items()}, processor)
    where = f"{platform.machine()}, load {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores"
    text = f"`uvlp {' '.join(arguments)}` with and without `--portable` at once, {where}.\n\n{result}\n"
    print(text)
    if chosen.record:
        REPORT.write_text(f"# Cost of --portable\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
