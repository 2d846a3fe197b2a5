"""Which folder is a store: one with the store's own mark in it, or with artifacts that were made before it.

Only in such a folder anything is ever deleted, and only under names that the store gives.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from uvlp.artifacts.checks.kinds import REQUIRED
from uvlp.artifacts.task import KEY_LENGTH, MANIFEST
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.writing import write_utf8
from uvlp.core.wording import first_few

MARK = "uvlp_store.json"
SCHEMA = 1
CONTENT = {
    "schema": SCHEMA,
    "what": "a store of uvlp, which made what lies in folders named after a kind",
}
FOLDERS = (*REQUIRED, "datasets", "imported", "partial")
KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
IN_THE_MAKING = re.compile(rf"({'|'.join(REQUIRED)})-{KEY.pattern}(\.removed)?")
"""Names below `.tmp/`."""
CACHE = re.compile(rf"models\.json|[a-z0-9-]+-{KEY.pattern}\.json")
"""Names below `datasets/`."""


def is_marked(root: Path) -> bool:
    """Whether ``root`` is known as a store."""
    return (root / MARK).is_file()


def write(root: Path) -> None:
    """Mark ``root`` as a store.

    Raises:
        OSError: it cannot be written.
    """
    if not is_marked(root):
        write_utf8(root / MARK, json.dumps(CONTENT, indent=1) + "\n")


def begin(root: Path, log: Callable[[str], None]) -> None:
    """Look at the folder before anything is written into it.

    A store that was made before stores had a mark gets one. Where a store would begin beside other things,
    that is said.

    Raises:
        UvlpError: a store would be mixed with files of somebody else, or was made by a later version.
    """
    if is_marked(root):
        _check_schema(root)
        return
    names = _names(root)
    if not names:
        return
    if _has_artifacts(root):
        # Where the mark cannot be written, nothing is deleted either.
        with contextlib.suppress(OSError):
            write(root)
            log(f"{root} holds artifacts of an earlier version; it is marked as a store now: {MARK}")
    elif not _has_caches(root):
        _refuse_taken(root)
        log(f"a store begins in {root} beside other things ({first_few(names)}), which it leaves alone")


def _names(root: Path) -> list[str]:
    try:
        return sorted(path.name for path in root.iterdir())
    except OSError:
        return []  # who wants to write there says what is wrong


def _check_schema(root: Path) -> None:
    try:
        schema = json_files.parse((root / MARK).read_bytes())["schema"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if isinstance(schema, int) and schema > SCHEMA:
        raise UvlpError(
            "this store was made by a later version",
            got=f"{root / MARK}, schema {schema}",
            allowed=f"schema {SCHEMA}",
            fix="use that version, or name another folder with --store",
        )


def artifacts(root: Path, *kinds: str) -> Iterator[Path]:
    """Folders of finished artifacts, of all kinds if none is named."""
    for kind in kinds or REQUIRED:
        if (root / kind).is_dir():
            for folder in sorted((root / kind).iterdir()):
                if KEY.fullmatch(folder.name) and (folder / MANIFEST).is_file():
                    yield folder


def _has_artifacts(root: Path) -> bool:
    return next(artifacts(root), None) is not None


def _has_caches(root: Path) -> bool:
    """Whether an earlier call looked at a dataset and made nothing."""
    place = root / "datasets"
    return place.is_dir() and any(CACHE.fullmatch(path.name) for path in place.iterdir())


def _refuse_taken(root: Path) -> None:
    """Refuse a folder in which the store's own names stand for other things."""
    places = [root / name for name in FOLDERS]
    taken = [path for path in places if path.exists() and not (path.is_dir() and not any(path.iterdir()))]
    if taken:
        raise UvlpError(
            "a store would be mixed with files that are not its own",
            got=first_few(map(str, taken)),
            allowed="a store, or a folder without these",
            fix="name another folder with --store or UVLP_STORE",
        )
