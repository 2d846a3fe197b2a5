"""From an empty store to the table on digits: wall-clock time and peak memory of all processes together.

    python benchmarks/runs/chain.py [--method random,uvlp] [--workers 2]

Memory is the proportional set size (pages that processes share are counted once), sampled twice a second.
The time of a second call on the finished store and of `uvlp --help` follow, as medians of ten.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

import psutil


def uvlp(*arguments: str) -> list[str]:
    """The command line of a call."""
    return [sys.executable, "-m", "uvlp", *arguments]


def memory_mb(process: psutil.Process) -> float:
    """Proportional set size of a process and all its children, MB."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total / 1e6


def first_call(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak MB of a call."""
    started, peak = time.monotonic(), 0.0
    running = subprocess.Popen(uvlp(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched = psutil.Process(running.pid)
    while running.poll() is None:
        peak = max(peak, memory_mb(watched))
        time.sleep(0.5)
    assert running.returncode == 0, arguments
    return time.monotonic() - started, peak


def median_s(arguments: list[str]) -> float:
    """Median seconds of ten calls."""
    times = []
    for _ in range(10):
        started = time.monotonic()
        subprocess.run(uvlp(*arguments), check=True, capture_output=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="random,vlcp,uvlp,full")
    parser.add_argument("--workers", default="2")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        options = ["--method", chosen.method, "--workers", chosen.workers, "--store", store]
        arguments = ["reproduce", "digits", "10", *options]
        seconds, peak = first_call(arguments)
        print(f"empty store to table, {chosen.method}: {seconds:.0f} s, peak {peak:.0f} MB")
        print(f"second call: {median_s(arguments):.2f} s")
    print(f"uvlp --help: {median_s(['--help']):.2f} s")


if __name__ == "__main__":
    main()
