"""Public repositories of methods, pinned to commits (`docker/baselines.toml`)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.files import json_files
from uvlp.core.plugins import PACKAGE

FILE = PACKAGE.parent / "docker" / "baselines.toml"
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the file; either a commit of a repository, or why there is none."""

    title: str
    repository: str = ""
    commit: str = ""
    licence: str = "unknown"
    unpinned: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A pinned repository.

    Attributes:
        name: on the command line.
        title: of the method.
        repository: what git clones.
        commit: full SHA-1.
        licence: as stated there; "none" or "unknown".
    """

    name: str
    title: str
    repository: str
    commit: str
    licence: str

    @property
    def row(self) -> str:
        """Title of its row in tables, different from that of UVLP's own implementation."""
        return f"{self.title} (published code)"


def entries() -> dict[str, Entry]:
    """Return all entries by name, in the order of the file.

    Raises:
        UvlpError: the file is missing or has another structure.
    """
    try:
        content = tomllib.loads(FILE.read_text(encoding="utf-8"))
        listed = {name: json_files.build(Entry, value) for name, value in content.items()}
        for name, entry in listed.items():
            _check(name, entry)
    except FileNotFoundError:
        raise UvlpError(
            "the list of baselines is not here",
            got=str(FILE),
            allowed="a checkout of UVLP, or its image; a wheel does not have it",
            fix="run it from a checkout or in the image",
        ) from None
    except ValueError as error:
        what = f"not a list of baselines: {str(error)[:120]}"
        raise UvlpError(what, got=str(FILE), fix="restore the file") from error
    return listed


def _check(name: str, entry: Entry) -> None:
    """Refuse an entry that is neither pinned nor says why.

    Raises:
        ValueError: names the entry.
    """
    pinned = bool(entry.repository) and COMMIT.fullmatch(entry.commit) is not None
    if pinned == bool(entry.unpinned) or (entry.commit and not pinned):
        raise ValueError(f"{name} needs a repository and a full commit, or a reason in `unpinned`")


def pinned(name: str) -> Baseline:
    """Return the pinned repository of a name; ``_`` may be written for ``-``.

    Raises:
        UvlpError: an unknown name, or one without a commit.
    """
    listed = entries()
    known = name.replace("_", "-")
    if known not in listed:
        raise unknown_name("baseline", name, listed)
    entry = listed[known]
    if not entry.commit:
        raise UvlpError(
            f"the baseline {known} is not pinned to a commit: {entry.unpinned}",
            got=name,
            allowed=", ".join(each for each, one in listed.items() if one.commit),
            fix=f"add its repository and commit to {FILE.name}, or score its images with `uvlp evaluate`",
        )
    return Baseline(
        name=known,
        title=entry.title,
        repository=entry.repository,
        commit=entry.commit,
        licence=entry.licence,
    )
