"""Hardware, versions and commit of a measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from uvlp.core import machine

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "paper_tables" / "measured"
PACKAGES = ("torch", "torchvision", "numpy", "pillow", "scipy")


def hardware(device: str) -> str:
    """Processor, cores, and the GPU in use."""
    gpu = f"; {machine.gpu_name()}" if device != "cpu" else ""
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores{gpu}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "processor")


def versions() -> str:
    """Python and the packages that affect results."""
    found = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *found])


def commit() -> str:
    """Commit of the working copy, marked where the package or the study differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, encoding="utf-8"
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", "uvlp/protocols", "uvlp/networks", "benchmarks/parity")
    revision = git("rev-parse", "--short", "HEAD") or "no repository"
    return f"{revision} with changes" if changed else revision


def load() -> str:
    """Processes that wanted a core during the last minute: how quiet the machine is."""
    return f"{os.getloadavg()[0]:.1f}"
