"""Python, packages, disk and store, followed by all other checks of `uvlp doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from uvlp.cli.findings import folders, gpu
from uvlp.cli.findings.finding import INSTALL, Finding
from uvlp.core.files.paths import nearest_existing, why_unusable

NEEDED_GB = 2


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("python", good, version, "" if good else "install Python 3.11, 3.12 or 3.13")


def _packages() -> Iterator[Finding]:
    for line in importlib.metadata.requires("uvlp") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(requirement.name, False, "missing", INSTALL)
            continue
        good = requirement.specifier.contains(version, prereleases=True)
        yield Finding(
            requirement.name, good, version, "" if good else f"needs {requirement.specifier}: {INSTALL}"
        )


def _gpu() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding("gpu", False, "unknown without torch", INSTALL)
    else:
        yield from gpu.findings()


def _store(root: Path) -> Iterator[Finding]:
    folder = nearest_existing(root)
    free_gb = shutil.disk_usage(folder).free / 1e9
    good = free_gb >= NEEDED_GB
    yield Finding(
        "disk", good, f"{free_gb:.1f} GB free at {folder}", "" if good else "free some space, or --store DIR"
    )
    if reason := why_unusable(root):
        yield Finding("store", False, f"{root}: {reason}", "choose another path: --store DIR")
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Finding("store", True, f"{root} is writable")
    except OSError as error:
        yield Finding("store", False, f"{root}: {error.strerror}", "make the folder writable, or --store DIR")


def findings(root: Path) -> Iterator[Finding]:
    """Yield the results of all checks, for a store at ``root``."""
    yield _python()
    yield from _packages()
    yield from _gpu()
    yield from folders.readable("store", lambda: _store(root))
    yield from folders.findings()
