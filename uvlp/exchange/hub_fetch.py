"""Published sets from the hub: `hf://OWNER/NAME@REVISION` to a folder of one commit, checked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from uvlp.core.display import messages, views
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.lines import read_lines
from uvlp.core.files.paths import nearest_existing
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size, first_few
from uvlp.datasets.files.images.image_files import EXTENSIONS
from uvlp.exchange.export_folder import MANIFEST, SUMS, read_sums
from uvlp.models.published import hub
from uvlp.pipeline.folders.published import PublishedSet
from uvlp.pipeline.folders.rows import Row

PREFIX = "hf://"
ADDRESS = re.compile(
    r"hf://(?:datasets/)?(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?"
)
FORM = "hf://OWNER/NAME@REVISION"
METADATA = ("train/metadata.jsonl", "metadata.jsonl")
PATTERNS = (
    *(f"*{ending}" for lower in EXTENSIONS for ending in (lower, lower.upper())),
    *(*METADATA, MANIFEST, SUMS),
)
"""Files that are fetched of a repository."""


@dataclass(frozen=True, slots=True)
class _Address:
    repository: str
    revision: str

    @property
    def record(self) -> str:
        """Name under which the commit of a revision is recorded."""
        return f"{hub.DATASETS}{self.repository}@{self.revision}"


def parse(text: str) -> _Address:
    """Parse an address.

    Raises:
        UvlpError: it has another form, or names no revision.
    """
    found = ADDRESS.fullmatch(text)
    if found is None:
        raise UvlpError("not the address of a published set", got=text, allowed=FORM)
    if found["revision"] is None:
        fix = f"add a commit, or a branch such as {text}@main, whose commit is then recorded"
        raise UvlpError("the address of a published set names no revision", got=text, allowed=FORM, fix=fix)
    return _Address(found["repository"], found["revision"])


def fetch_rows(rows: Sequence[Row], *, offline: bool) -> tuple[tuple[Row, ...], dict[str, PublishedSet]]:
    """Fetch every published set among the paths of ``rows``.

    Returns:
        The rows with addresses of commits, and the sets by these addresses.

    Raises:
        UvlpError: see `fetch`.
    """
    sets: dict[str, PublishedSet] = {}
    for path in dict.fromkeys(path for row in rows for path in row.paths if path.startswith(PREFIX)):
        sets[path] = fetch(path, offline=offline)
        if sets[path].address != path:
            messages.note(f"{path} is {sets[path].address}")
    pinned = tuple(
        replace(row, paths=tuple(sets[path].address if path in sets else path for path in row.paths))
        for row in rows
    )
    return pinned, {one.address: one for one in sets.values()}


def fetch(text: str, *, offline: bool) -> PublishedSet:
    """Return a published set from the hub's cache, after it was fetched unless ``offline``.

    Raises:
        UvlpError: a wrong address, no such repository or revision, no network, a set that was never fetched,
            files that are not as they were published, or no order of classes.
    """
    from huggingface_hub import constants

    address = parse(text)
    repository = f"{hub.DATASETS}{address.repository}"
    commit = _known_commit(address, repository)
    here = bool(commit) and hub.snapshot(repository, commit).is_dir()
    if offline or constants.HF_HUB_OFFLINE:
        if not here:
            what = "this published set was never fetched, and --offline and --dry-run fetch nothing"
            raise UvlpError(what, got=text, fix="run the command once with a network")
    elif not here or commit != address.revision or hub.recorded(address.record) != commit:
        commit = _transfer(address, repository)
        hub.remember(address.record, commit)
    return _opened(address.repository, commit, hub.snapshot(repository, commit))


def _known_commit(address: _Address, repository: str) -> str:
    """Return the commit of a revision without the network; empty if it is not known."""
    if hub.COMMIT.fullmatch(address.revision):
        return address.revision
    return hub.recorded(address.record) or hub.named(repository, address.revision)


def _transfer(address: _Address, repository: str) -> str:
    view = views.view(1)
    title = f"{address.repository} at {address.revision}"
    progress, began = Progress(partial(view.event, title), title), time.monotonic()
    try:
        view.begin(title)
        commit = hub.transfer(repository, address.revision, PATTERNS, progress, partial(_announce, progress))
        view.end(title, time.monotonic() - began)
        return commit
    finally:
        view.close()


def _announce(progress: Progress, files: int, size: int) -> None:
    """Report a download before it begins, and refuse one that does not fit."""
    folder = nearest_existing(hub.cache_folder())
    progress.log(f"fetching {files} files, {byte_size(size)}, into {hub.cache_folder()}")
    check_space("the published set", folder, size, "free some space, or set HF_HOME to a larger disk")


def _opened(repository: str, commit: str, folder: Path) -> PublishedSet:
    address = f"{PREFIX}{repository}@{commit}"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if SUMS in files:
        _check_files(address, folder, files)
    dataset = _stated_dataset(address, folder / MANIFEST) if MANIFEST in files else {}
    metadata = next((name for name in METADATA if name in files), None)
    if metadata is None:
        raise UvlpError(
            f"{address} does not state the order of its classes",
            got=first_few(sorted(files)) or "no images",
            allowed=f"{' or '.join(METADATA)} with file_name and label of every image",
            fix="download it, sort its images into class folders, and score the folder",
        )
    return PublishedSet(
        repository=repository,
        commit=commit,
        folder=folder,
        labels=_labels(address, folder / metadata, Path(metadata).parent),
        dataset=str(dataset.get("name", "")),
        content_hash=str(dataset.get("content_hash", "")),
    )


def _check_files(address: str, folder: Path, files: Iterable[str]) -> None:
    """Compare images and metadata with the hashes that were published beside them."""
    sums = read_sums(folder / SUMS)
    wanted, here = set(filter(_is_fetched, sums)), set(filter(_is_fetched, files)) - {SUMS}
    wrong = sorted(wanted ^ here) or [
        name for name in sorted(wanted) if file_sha256(folder / name) != sums[name]
    ]
    if wrong:
        raise UvlpError(
            f"{address}: {len(wrong)} files are not as its {SUMS} lists them",
            got=first_few(wrong),
            fix=f"delete {folder.parents[1]} to fetch it again; if that does not help, it was published so",
        )


def _is_fetched(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in PATTERNS)


def _stated_dataset(address: str, path: Path) -> dict[str, Any]:
    try:
        stated: dict[str, Any] = dict(json_files.parse(path.read_bytes())["dataset"])
    except (ValueError, LookupError, TypeError) as error:
        raise UvlpError(f"{address}: {MANIFEST} does not name its dataset", got=str(error)) from error
    return stated


def _labels(address: str, path: Path, parent: Path) -> dict[str, int]:
    """Return the label of every class folder from the rows of `metadata.jsonl`.

    Raises:
        UvlpError: a row lacks its file name or label, or a folder has several labels.
    """
    labels: dict[str, int] = {}
    for number, text in enumerate(read_lines(path), 1):
        try:
            row = json_files.parse(text)
            folder, label = Path(row["file_name"]).parent.name, row["label"]
            valid = isinstance(label, int) and not isinstance(label, bool)
        except (ValueError, LookupError, TypeError):
            valid = False
        if not valid or not folder or labels.setdefault(folder, label) != label:
            raise UvlpError(
                f"{address} does not state the order of its classes",
                got=f"{(parent / path.name).as_posix()}, line {number}",
                allowed="file_name and label, the same label for all images of a folder",
            )
    return labels
