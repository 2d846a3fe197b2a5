"""Fetching a dataset of the hub: its commit, its files, and the folder that is made of them once."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.leases import lease
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.paths import nearest_existing
from uvlp.core.files.writing import write_utf8
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size
from uvlp.datasets.hub import card, rows
from uvlp.datasets.hub.address import COMMIT, Address
from uvlp.datasets.hub.extract import extract
from uvlp.models.published import hub

FOLDER = "hf"
COMMITS = "commits.json"
UNFINISHED = ".unfinished-"
FIX = "free some space, or choose another folder with --data"


def commit_of(address: Address, data: Path) -> str:
    """Return the commit of an address as it was first fetched into a data folder; empty if it never was.

    Raises:
        UvlpError: the record of the commits is damaged.
    """
    if COMMIT.fullmatch(address.revision):
        return address.revision
    return _recorded(_base(address, data)).get(address.branch, "")


def folder_of(address: Address, data: Path) -> Path | None:
    """Return the folder of a dataset that was fetched; None if it was not.

    Raises:
        UvlpError: the record of the commits is damaged.
    """
    commit = commit_of(address, data)
    folder = _base(address, data) / address.folder_name(commit)
    return folder if commit and folder.is_dir() else None


def fetch(address: Address, data: Path, progress: Progress) -> None:
    """Fetch a dataset into a data folder, unless it is there; other processes wait.

    Raises:
        UvlpError: the library is missing; no network, repository, revision, permission or space; or rows
            that are no labelled images.
    """
    base, title = _base(address, data), f"hf:{address.title}"
    with explain_os_errors(data, "cannot write the data folder", FIX):
        base.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting: another process is fetching {title}"
        with lease.acquire(base / ".lease", lambda _: progress.log(waiting)):
            if folder_of(address, data) is None:
                rows.require_library()
                _fetch(address, base, progress)


def _fetch(address: Address, base: Path, progress: Progress) -> None:
    for left in base.glob(f"{UNFINISHED}*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    known = (
        address.revision if COMMIT.fullmatch(address.revision) else _recorded(base).get(address.branch, "")
    )
    repository = f"{hub.DATASETS}{address.repository}"
    commit = hub.transfer(repository, known or address.branch, card.DESCRIPTIONS, progress)
    snapshot = hub.snapshot(repository, commit)
    part = card.read(snapshot, address)
    patterns = (*card.DESCRIPTIONS, *part.patterns)
    hub.transfer(repository, commit, patterns, progress, partial(_announce, progress, base))
    with tempfile.TemporaryDirectory(dir=base, prefix=UNFINISHED) as folder:
        view, cache, made = (Path(folder) / name for name in ("view", "cache", "made"))
        for each in (view, cache, made):
            each.mkdir()
        rows.view(snapshot, part, view, address)
        check_space("the images", base, _bytes(view), FIX)
        reader = rows.Reader(view, part, address, cache)
        extract(reader, address.pinned(commit), part.licence, made, progress)
        made.rename(base / address.folder_name(commit))
    if address.branch != commit:
        commits = {**_recorded(base), address.branch: commit}
        write_utf8(base / COMMITS, json.dumps(commits, indent=1, sort_keys=True) + "\n")


def _announce(progress: Progress, base: Path, files: int, size: int) -> None:
    """Report a download before it begins, and refuse one that does not fit beside the images made of it."""
    cache = nearest_existing(hub.cache_folder())
    progress.log(f"fetching {files} files, {byte_size(size)}, into {hub.cache_folder()}")
    together = cache.stat().st_dev == base.stat().st_dev
    check_space("the dataset and its images", cache, size * (2 if together else 1), FIX)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _base(address: Address, data: Path) -> Path:
    return data / FOLDER / address.repository


def _recorded(base: Path) -> dict[str, str]:
    """Return the commits of branches when they were first fetched."""
    path = base / COMMITS
    if not path.exists():
        return {}
    try:
        found = json_files.parse(path.read_bytes())
        commits = {str(name): str(commit) for name, commit in found.items()}
        if not all(map(COMMIT.fullmatch, commits.values())):
            raise ValueError("no commits")
    except (OSError, ValueError, AttributeError) as error:
        raise UvlpError(f"{path} is damaged", got=str(error), fix="delete it and fetch again") from error
    return commits
