"""Recognition of stores: folders with a store's mark file, or with artifacts of versions without it.

Files are deleted only in such folders, and only under names that a store uses.
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
UNFINISHED = re.compile(
    rf"(?P<lease>(?P<artifact>(?:{'|'.join(REQUIRED)})-{KEY.pattern})(?:\.part-\d+-of-\d+)?)"
    r"(?:\.removed)?(?:\.(?P<token>[0-9a-f]{16}))?"
)
"""Names below `.tmp/` and `partial/`: of an artifact or a piece of it, with the token of its maker."""
TAKEN_AWAY = re.compile(rf"(?:{'|'.join(REQUIRED)})-.*\.lease\.[0-9a-f]{{16}}")
"""Names below `.locks/` of leases that ended, left by a process that was killed just then."""
CACHE = re.compile(rf"models\.json|[a-z0-9-]+-{KEY.pattern}\.json")
"""Names below `datasets/`."""


def is_marked(root: Path) -> bool:
    """Return whether ``root`` is marked as a store."""
    return (root / MARK).is_file()


def write(root: Path) -> None:
    """Mark ``root`` as a store.

    Raises:
        OSError: it cannot be written.
    """
    if not is_marked(root):
        write_utf8(root / MARK, json.dumps(CONTENT, indent=1) + "\n")


def begin(root: Path, log: Callable[[str], None]) -> None:
    """Check the folder before anything is written into it.

    A store of a version without marks gets one. A new store beside other files is reported.

    Raises:
        UvlpError: the store would be mixed with other files, or was created by a later version.
    """
    if is_marked(root):
        check_schema(root)
        return
    names = _names(root)
    if not names:
        return
    if _has_artifacts(root):
        # If the mark cannot be written, nothing is deleted either.
        with contextlib.suppress(OSError):
            write(root)
            log(f"{root} contains artifacts of an earlier version; it is now marked as a store: {MARK}")
    elif not _has_caches(root):
        _refuse_taken(root)
        log(f"creating a store in {root} beside other files ({first_few(names)}), which are not touched")


def _names(root: Path) -> list[str]:
    try:
        return sorted(path.name for path in root.iterdir())
    except OSError:
        return []  # reported when something is written there


def check_schema(root: Path) -> None:
    """Refuse a store of a later version.

    Raises:
        UvlpError: its mark has a higher schema.
    """
    try:
        schema = json_files.parse((root / MARK).read_bytes())["schema"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if isinstance(schema, int) and schema > SCHEMA:
        raise UvlpError(
            "this store was created by a later version",
            got=f"{root / MARK}, schema {schema}",
            allowed=f"schema {SCHEMA}",
            fix="use that version, or choose another folder with --store",
        )


def artifacts(root: Path, *kinds: str) -> Iterator[Path]:
    """Yield the folders of finished artifacts, of all kinds if none is given."""
    for kind in kinds or REQUIRED:
        if (root / kind).is_dir():
            for folder in sorted((root / kind).iterdir()):
                if KEY.fullmatch(folder.name) and (folder / MANIFEST).is_file():
                    yield folder


def _has_artifacts(root: Path) -> bool:
    return next(artifacts(root), None) is not None


def _has_caches(root: Path) -> bool:
    """Return whether an earlier call cached a dataset without making artifacts."""
    cache = root / "datasets"
    return cache.is_dir() and any(CACHE.fullmatch(path.name) for path in cache.iterdir())


def _refuse_taken(root: Path) -> None:
    """Refuse a folder in which other files use the names of a store's folders."""
    folders = [root / name for name in FOLDERS]
    taken = [path for path in folders if path.exists() and not (path.is_dir() and not any(path.iterdir()))]
    if taken:
        raise UvlpError(
            "a store would be mixed with other files",
            got=first_few(map(str, taken)),
            allowed="a store, or a folder without these",
            fix="choose another folder with --store or UVLP_STORE",
        )
