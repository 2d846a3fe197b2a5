"""The operations of `operations.py` here and on two emulated processors, under the portable settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.processors.settings import PORTABLE

PROCESSORS = ("Nehalem", "Haswell")  # x86-64-v2, the least that numpy runs on, and one with AVX2 and FMA
MISSING = (
    "test_processors: no qemu-x86_64: install it (Debian: apt-get install qemu-user), then run this again"
)


def main() -> int:
    """Print what is alike; 0 where every operation that promises it is, 2 without an emulator."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        print(MISSING, file=sys.stderr)
        return 2
    started = {"here": start()} | {cpu: start(emulator, "-cpu", cpu) for cpu in PROCESSORS}
    found = {name: finish(name, process) for name, process in started.items()}
    if any(result is None for result in found.values()):
        return 1
    results = {name: result for name, result in found.items() if result is not None}
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
    """What a process found; None, and its last words shown, where it failed."""
    printed, said = process.communicate()
    if process.returncode:
        print(f"{name}: failed with {process.returncode}\n{said[-2000:]}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(printed)
    return result


def compare(hashes: Mapping[str, Mapping[str, str]]) -> int:
    """Print which operations differ between processors; 1 where one does that is not known for it."""
    from tests.processors.operations import (
        NOT_PORTABLE,
    )  # imports torch, the emulated ones have done so long ago

    names = next(iter(hashes.values()))
    differing = [name for name in names if len({found[name] for found in hashes.values()}) > 1]
    new = [name for name in differing if name not in NOT_PORTABLE]
    for name in differing:
        print(f"differs: {name}: {NOT_PORTABLE.get(name, 'NOT KNOWN')}")
    print(f"{len(names) - len(differing)} of {len(names)} operations are alike on {', '.join(hashes)};")
    print(
        f"{len(differing) - len(new)} differ that are known to and must make no artifact, {len(new)} others"
    )
    return 1 if new else 0
