"""`uvlp doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import Requirement

INSTALL = "python -m pip install --require-hashes -r docker/requirements.lock"
NEEDED_GB = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, whether it is well, what was found, how to mend it."""

    what: str
    good: bool
    found: str
    mend: str = ""


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


def _gpu() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("gpu", False, "unknown without torch", INSTALL)
    import torch

    if not torch.cuda.is_available():
        return Finding("gpu", True, "none: everything runs on the CPU (digits and folder need no GPU)")
    properties = torch.cuda.get_device_properties(0)
    return Finding("gpu", True, f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")


def _store(root: Path) -> Iterator[Finding]:
    place = root
    while not place.exists():
        place = place.parent
    free_gb = shutil.disk_usage(place).free / 1e9
    good = free_gb >= NEEDED_GB
    yield Finding(
        "disk", good, f"{free_gb:.1f} GB free at {place}", "" if good else "free some space, or --store DIR"
    )
    try:
        with tempfile.TemporaryFile(dir=place):
            yield Finding("store", True, f"{root} can be written")
    except OSError as error:
        yield Finding("store", False, f"{root}: {error.strerror}", "make the folder writable, or --store DIR")


def show(root: Path, as_json: bool) -> int:
    """Print all findings; exit code 0 if all are good, else 2."""
    findings = [_python(), *_packages(), _gpu(), *_store(root)]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            mend = f"  -> {finding.mend}" if finding.mend else ""
            print(f"{'ok ' if finding.good else 'BAD'}  {finding.what:<16} {finding.found}{mend}")
    return 0 if all(finding.good for finding in findings) else 2
