"""A patched copy of diffusers beside the installed one, for scripts that import pipelines it lacks.

The copy is `<target>/diffusers`, made from the installed package by `patches/diffusers/patch.toml`: files of
ours are added, and lines are inserted that register them. The installed package stays as it is. Every changed
file is compared with a SHA-256 before and after, and the copy as a whole with that in its mark before it is
used.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.sharing import follow_umask
from uvlp.core.hashing import digest, file_sha256
from uvlp.core.plugins import PACKAGE

LIBRARY = "diffusers"
PATCH = PACKAGE.parent / "patches" / LIBRARY
TARGET = PACKAGE.parent / "patched"
"""In the image, where it is made at build time, `/opt/uvlp/patched`."""
MARK = "uvlp_patched.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Insertion:
    """Lines that are inserted below a line, which the file has exactly once."""

    below: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Insertions into one file, with its SHA-256 in the release and after them."""

    before: str
    after: str
    insertions: tuple[Insertion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What `patch.toml` says.

    Attributes:
        release: of the library that it applies to.
        added: folder inside the package by file beside `patch.toml`.
        changed: changes by file inside the package.
    """

    release: str
    added: Mapping[str, str]
    changed: Mapping[str, Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a copy was made from, and a hash of all its files."""

    release: str
    patch: str
    copy: str


def ensure(target: Path) -> Path:
    """Return ``target`` with an intact patched copy in it, made anew if it is missing, stale or damaged.

    Raises:
        UvlpError: no patch here, another release, an edited installation, a folder with other files, or one
            that cannot be written.
    """
    patch = read_patch(PATCH)
    package = _installed(patch)
    wanted = _hash_of(PATCH)
    if os.path.lexists(target) and not _is_empty(target):
        reason = _why_not(target, patch.release, wanted)
        if not reason:
            return target
        messages.note(f"{target}: {reason}, making it anew")
        remove(target)
    fix = "free some space, make it writable, or choose another folder with --target"
    with explain_os_errors(target.parent, "cannot write the patched copy", fix):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            finished = Path(scratch) / target.name
            _make(patch, package, finished)
            mark = {"release": patch.release, "patch": wanted, "copy": _hash_of(finished / LIBRARY)}
            (finished / MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
            follow_umask(finished)
            os.rename(finished, target)
    return target


def remove(target: Path) -> None:
    """Delete a patched copy.

    Raises:
        UvlpError: there is none, or the folder has no mark of one.
    """
    if not (target / MARK).is_file():
        raise UvlpError(
            "no patched copy in this folder",
            got=str(target),
            allowed=f"a folder with {MARK}",
            fix="choose another folder with --target",
        )
    with (
        explain_os_errors(target.parent, "cannot delete the patched copy", "make it writable"),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch,
    ):
        os.rename(target, Path(scratch) / target.name)


def read_patch(folder: Path) -> Patch:
    """Read `patch.toml` in ``folder``.

    Raises:
        UvlpError: it is missing or has another structure.
    """
    path = folder / "patch.toml"
    try:
        return json_files.build(Patch, tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UvlpError(
            f"the patch of {LIBRARY} is not here",
            got=str(path),
            allowed="a checkout of UVLP, or its image; a wheel does not have it",
            fix="run it from a checkout or in the image",
        ) from None
    except ValueError as error:
        raise UvlpError(f"not a patch: {str(error)[:120]}", got=str(path), fix="restore the file") from error


def _installed(patch: Patch) -> Path:
    """Return the folder of the installed package, whose release and files the patch is for.

    A copy that PYTHONPATH puts first does not count: only an installed package has metadata beside it.
    """
    fix = "install the locked packages: docker/README.md"
    try:
        found = importlib.metadata.distribution(LIBRARY)
    except importlib.metadata.PackageNotFoundError:
        raise UvlpError(f"{LIBRARY} is not installed", allowed=patch.release, fix=fix) from None
    if found.version != patch.release:
        what = f"the patch is for another release of {LIBRARY}"
        raise UvlpError(what, got=found.version, allowed=patch.release, fix=fix)
    package = Path(str(found.locate_file(LIBRARY)))
    for name, change in patch.changed.items():
        if not (package / name).is_file() or file_sha256(package / name) != change.before:
            raise UvlpError(
                f"a file of the installed {LIBRARY} is not that of release {patch.release}",
                got=str(package / name),
                allowed=f"SHA-256 {change.before}",
                fix=f"reinstall {LIBRARY}",
            )
    return package


def _make(patch: Patch, package: Path, folder: Path) -> None:
    """Copy ``package`` into a new ``folder`` and change the copy."""
    copy = folder / LIBRARY
    folder.mkdir()
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, change in patch.changed.items():
        path = copy / name
        path.write_bytes(_inserted(path.read_bytes().decode(), change, name).encode())
        if file_sha256(path) != change.after:
            fix = "restore patches/ from the repository"
            raise UvlpError(f"the patched {name} differs", allowed=f"SHA-256 {change.after}", fix=fix)
    for name, folder_inside in patch.added.items():
        shutil.copyfile(PATCH / name, copy / folder_inside / name)


def _inserted(text: str, change: Change, name: str) -> str:
    lines = text.split("\n")
    for insertion in change.insertions:
        if lines.count(insertion.below) != 1:
            raise UvlpError(
                f"{name} does not have the line of the patch once",
                got=insertion.below,
                fix="restore patches/ from the repository",
            )
        below = lines.index(insertion.below) + 1
        lines[below:below] = insertion.lines
    return "\n".join(lines)


def _why_not(target: Path, release: str, patch: str) -> str:
    """Return why the copy in ``target`` cannot be used; empty if it can.

    Raises:
        UvlpError: it is something else than a patched copy.
    """
    if not (target / MARK).is_file():
        raise UvlpError(
            "the folder for the patched copy has other files",
            got=str(target),
            allowed="a new folder, or one that `uvlp patched` made",
            fix="choose another folder with --target",
        )
    try:
        mark = json_files.read(Mark, target / MARK)
    except UvlpError:
        return f"{MARK} is damaged"
    if (mark.release, mark.patch) != (release, patch):
        return "made from another release or another patch"
    return "" if _hash_of(target / LIBRARY) == mark.copy else "its files have changed"


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _hash_of(folder: Path) -> str:
    """Return a hash of the names and bytes of all files in a folder, except compiled ones."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    return digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in paths})
