"""Which packages the image gets; run by the Dockerfile with the Python of `/opt/uvlp/.venv`.

    python -m tools.image_packages wheels FOLDER        the wheels of FOLDER as requirements with hashes
    python -m tools.image_packages unneeded PYPROJECT   installed packages that the package does not need

It stands alone: uvlp is not installed yet.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

NO_COMPILER = {"triton"}
"""Required by torch, for kernels that it compiles with a C compiler at run time. The image has none, so that
nothing can use it, and it takes 1 GB."""


class Refused(Exception):
    """The build stops with this one line."""


def installed() -> dict[str, importlib.metadata.Distribution]:
    """Return every installed distribution by its canonical name."""
    return {canonicalize_name(found.name): found for found in importlib.metadata.distributions()}


def project_requirements(pyproject: Path) -> list[Requirement]:
    """Return what the package needs to run, also as a job of Slurm, whose workers may run in the image."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project.get("optional-dependencies", {}).get("slurm", ())]
    return [Requirement(line) for line in lines]


def needed(roots: Iterable[Requirement], present: dict[str, importlib.metadata.Distribution]) -> set[str]:
    """Return the canonical names of all that ``roots`` need, directly or not, but `NO_COMPILER`.

    Raises:
        Refused: one is missing, or its version does not fit.
    """
    names: set[str] = set()
    followed: set[tuple[str, str]] = set()
    waiting = [(requirement, "uvlp") for requirement in roots]
    while waiting:
        requirement, by = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in NO_COMPILER:
            continue
        found = present.get(name)
        if found is None:
            raise Refused(f"{by} needs {requirement}, which is not installed: add its wheel to the folder")
        if not requirement.specifier.contains(found.version, prereleases=True):
            raise Refused(
                f"{by} needs {requirement}, and {found.version} is installed: take a wheel that fits"
            )
        names.add(name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in followed:
                followed.add((name, extra))
                waiting += [(line, name) for line in _requirements(found.requires or [], extra)]
    return names


def _requirements(lines: Iterable[str], extra: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def supplied(folder: Path, present: Iterable[str]) -> Iterator[str]:
    """Yield a requirement line for each wheel in ``folder``.

    A wheel replaces an installed package, or is required by another wheel of the folder.

    Raises:
        Refused: no wheel, one that is none, or one that nothing needs.
    """
    wheels = {path: _metadata(path) for path in sorted(folder.glob("*.whl"))}
    if not wheels:
        raise Refused("no wheel in the folder of WHEELS (needed: *.whl)")
    wanted = {*present} | {
        canonicalize_name(requirement.name)
        for metadata in wheels.values()
        for requirement in _requirements(metadata.get_all("Requires-Dist", []), "")
    }
    for path, metadata in wheels.items():
        name = canonicalize_name(metadata["Name"])
        if name not in wanted:
            raise Refused(f"no package of the lock or of the other wheels needs {path.name}: remove it")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        # pip checks the second, and keeps the first in the metadata.
        yield f"{name} @ {path.absolute().as_uri()}#sha256={sha256} --hash=sha256:{sha256}"


def _metadata(wheel: Path) -> Message:
    try:
        name, version, _, _ = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            inside = [entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA")]
            metadata = Parser().parsestr(archive.read(inside[0]).decode())
    except (InvalidWheelFilename, zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
        raise Refused(f"not a wheel: {wheel.name} ({error})") from error
    if canonicalize_name(metadata["Name"] or "") != name or metadata["Version"] != str(version):
        inside_name = f"{metadata['Name']} {metadata['Version']}"
        raise Refused(f"not a wheel: {wheel.name} (it contains {inside_name})")
    return metadata


def main(words: list[str]) -> int:
    """Print what is asked for; 2 if it is refused."""
    command, path = words
    present = installed()
    try:
        if command == "wheels":
            lines = list(supplied(Path(path), present))
        else:
            lines = sorted(set(present) - needed(project_requirements(Path(path)), present))
    except Refused as error:
        print(f"error  {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
