"""The docker command, as the container tests use it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGE = "uvlp"
REVISION = "0123456789abcdef0123456789abcdef01234567"
"""Stands for a commit: the tests also run where there is no git."""

Docker = Callable[..., "subprocess.CompletedProcess[str]"]


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    """Run docker in the repository; its exit code is the caller's to judge."""
    return subprocess.run(
        ["docker", *words], cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=False
    )


def label(name: str, image: str = IMAGE) -> str:
    """Return the value of a label of ``image``."""
    shown = docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{name}"}}}}', image)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.strip()
