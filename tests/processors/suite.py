"""Run the fast tests with every setting of `settings.py`, or the operations under emulation."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests.processors import emulation
from tests.processors.settings import SETTINGS, lacking

FAST = (
    "-n",
    "2",
    "--dist",
    "worksteal",
    "-m",
    "not cluster and not container and not gpu and not slow and not long",
)


class Row(NamedTuple):
    """The result of a setting; ``failed`` is "crashed" without a report of pytest, or "not run: ..."."""

    setting: str
    passed: int
    failed: str
    seconds: float

    @property
    def good(self) -> bool:
        return self.failed == "0" or self.failed.startswith("not run")


def run(name: str, arguments: Sequence[str]) -> Row:
    """Run pytest with a setting; its output is not captured."""
    if missing := lacking(name):
        return Row(name, 0, f"not run: no {missing}", 0.0)
    print(f"\n=== {name}: {' '.join(f'{key}={value}' for key, value in SETTINGS[name].items())}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.xml")
        command = [sys.executable, "-m", "pytest", *FAST, f"--junit-xml={counts}", *arguments]
        code = subprocess.run(command, env={**os.environ, **SETTINGS[name]}, check=False).returncode
        passed, failed = read_counts(counts) if counts.is_file() else (0, 0)
    shown = "crashed" if code and not failed else str(failed)
    return Row(name, passed, shown, time.monotonic() - started)


def read_counts(counts: Path) -> tuple[int, int]:
    """Return the number of tests that passed, and that failed or raised, from a JUnit file."""
    passed = failed = 0
    for suite in ElementTree.parse(counts).getroot().iter("testsuite"):
        tests, skipped, *bad = (int(suite.get(key, 0)) for key in ("tests", "skipped", "failures", "errors"))
        passed += tests - skipped - sum(bad)
        failed += sum(bad)
    return passed, failed


def summary(rows: Sequence[Row]) -> str:
    lines = [f"{'setting':18} {'passed':>7} {'failed':>7} {'seconds':>8}"]
    lines += [f"{row.setting:18} {row.passed:7} {row.failed:>7} {row.seconds:8.0f}" for row in rows]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    own, arguments = list(argv), list[str]()
    if "--" in own:
        separator = own.index("--")
        own, arguments = own[:separator], own[separator + 1 :]
    parser = argparse.ArgumentParser("test_processors.sh", epilog="Arguments after -- are passed to pytest.")
    parser.add_argument(
        "settings", nargs="*", metavar="SETTING", help=f"of {', '.join(SETTINGS)}; default: all"
    )
    parser.add_argument("--emulated", action="store_true", help="compare operations with emulated processors")
    options = parser.parse_args(own)
    if unknown := [name for name in options.settings if name not in SETTINGS]:
        parser.error(f"unknown setting: {', '.join(unknown)}; allowed: {', '.join(SETTINGS)}")
    if options.emulated:
        return emulation.main()
    rows = [run(name, arguments) for name in options.settings or SETTINGS]
    print(f"\n{summary(rows)}")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
