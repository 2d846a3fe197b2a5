"""Compare the operations of `operations.py` on this and two emulated processors, with portable settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.processors.settings import PORTABLE

PROCESSORS = ("Nehalem", "Haswell")  # x86-64-v2, the minimum of numpy, and one with AVX2 and FMA
MISSING = (
    "test_processors: qemu-x86_64 is missing: install it (Debian: apt-get install qemu-user), and re-run"
)


def main() -> int:
    """Print the comparison; return 0 if all portable operations agree, 2 without an emulator."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        print(MISSING, file=sys.stderr)
        return 2
    started = {"here": start()} | {cpu: start(emulator, "-cpu", cpu) for cpu in PROCESSORS}
    finished = {name: finish(name, process) for name, process in started.items()}
    if any(result is None for result in finished.values()):
        return 1
    results = {name: result for name, result in finished.items() if result is not None}
    for name, result in results.items():
        print(f"{name}: {result['libc']}, torch for {result['torch']}, {len(result['hashes'])} operations")
    return compare({name: result["hashes"] for name, result in results.items()})


def start(*emulator: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*emulator, sys.executable, "-m", "tests.processors.operations"],
        env={**os.environ, **PORTABLE},
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(name: str, process: subprocess.Popen[str]) -> dict[str, Any] | None:
    """Return the result of a process; None if it failed, with its last output printed."""
    output, errors = process.communicate()
    if process.returncode:
        print(f"{name}: failed with {process.returncode}\n{errors[-2000:]}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(output)
    return result


def compare(hashes: Mapping[str, Mapping[str, str]]) -> int:
    """Print which operations differ between processors; return 1 if one differs unexpectedly."""
    from tests.processors.operations import NOT_PORTABLE  # here, because it imports torch

    names = next(iter(hashes.values()))
    differing = [name for name in names if len({each[name] for each in hashes.values()}) > 1]
    new = [name for name in differing if name not in NOT_PORTABLE]
    for name in differing:
        print(f"differs: {name}: {NOT_PORTABLE.get(name, 'UNEXPECTED')}")
    print(f"{len(names) - len(differing)} of {len(names)} operations agree on {', '.join(hashes)};")
    print(
        f"{len(differing) - len(new)} are known to differ and must not affect artifacts, {len(new)} are new"
    )
    return 1 if new else 0
