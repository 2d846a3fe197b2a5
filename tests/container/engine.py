"""The docker command, as the container tests use it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGE = "uvlp"

Docker = Callable[..., "subprocess.CompletedProcess[str]"]


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    """Run docker in the repository; its exit code is the caller's to judge."""
    return subprocess.run(
        ["docker", *words], cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=False
    )
