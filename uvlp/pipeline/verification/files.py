"""Files: each has the hash that its manifest lists; none is missing, none lies beside, none is a link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from uvlp.artifacts.task import MANIFEST
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import file_sha256
from uvlp.pipeline.verification.contents import Artifact, Contents
from uvlp.pipeline.verification.report import Check


def check_files(contents: Contents) -> Check:
    """Read every file anew; what is not as made is looked at no further."""
    check = Check(
        name="files",
        one="{} file has the SHA-256 in its manifest",
        many="{} files have the SHA-256 in their manifests",
    )
    for name, wrong in contents.strays:
        check.checked += 1
        check.fail(name, wrong, allowed="artifacts alone")
    for one in contents.artifacts.values():
        if one.manifest is None or one.name in contents.damaged:
            check.skipped["artifacts with a damaged manifest"] += 1
            continue
        before = len(check.findings)
        _check_artifact(check, one)
        if len(check.findings) > before:
            contents.damaged.add(one.name)
    return check


def _check_artifact(check: Check, one: Artifact) -> None:
    assert one.manifest is not None
    listed = dict(one.manifest.files)
    for name in _names(one.folder):
        path, file = one.folder / name, f"{one.name}/{name}"
        if path.is_symlink():
            check.checked += 1
            check.fail(file, "a link", os.readlink(path), "a file")
            listed.pop(name, None)
        elif name in listed:
            check.checked += 1
            sha256, allowed = _sha256(path), listed.pop(name)
            if sha256 != allowed:
                check.fail(file, "not as it was made, SHA-256", sha256, allowed)
        elif name != MANIFEST:
            check.checked += 1
            check.fail(file, "a file that no manifest lists")
    for name in listed:
        check.checked += 1
        check.fail(f"{one.name}/{name}", "missing", allowed="the file that the manifest lists")


def _names(folder: Path) -> Iterator[str]:
    """Files and links below a folder, in order; links are not followed."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if Path(place, name).is_symlink()]
        for name in sorted([*files, *linked]):
            yield Path(place, name).relative_to(folder).as_posix()


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except (UvlpError, OSError) as error:
        return f"none: {error}"
