"""Repositories of the hub: paths of downloaded files, recorded revisions, and the download.

A repository is one of models, ``OWNER/NAME``, or of a dataset, ``datasets/OWNER/NAME``. The layout is that of
the hub's own library, so its downloads are reused: `models--OWNER--NAME/snapshots/COMMIT/...` below
``$HF_HOME/hub``. Finding files needs no network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.foreign_files import check_regular, first_bytes, wrong_content
from uvlp.core.files.leases import lease
from uvlp.core.files.writing import write_utf8
from uvlp.core.progress import Progress
from uvlp.models.published import hub_errors

COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"(?=.{1,96}$)[\w-][\w.-]*(/[\w-][\w.-]*)?")
"""Names of repositories; the hub allows at most 96 characters."""
DATASETS = "datasets/"
"""How the repository of a dataset begins."""
RECORD = "uvlp_revisions.json"
ATTEMPTS = 3
MEGABYTE = 10**6
RESUMED_BYTES = 10**7
UNFINISHED = ".uvlp.incomplete"


def cache_folder() -> Path:
    """Return the folder with the repositories, below ``HF_HOME``."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _record() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / RECORD


def page(repository: str) -> str:
    """Return the URL of the repository's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}"


def _kind_and_name(repository: str) -> tuple[str, str]:
    """Return the kind of a repository in the terms of the hub's library, and ``OWNER/NAME``."""
    name = repository.removeprefix(DATASETS)
    return "model" if name == repository else "dataset", name


def folder_of(repository: str) -> Path:
    """Return the folder of ``repository``, which may not exist."""
    kind, name = _kind_and_name(repository)
    return cache_folder() / f"{kind}s--{name.replace('/', '--')}"


def snapshot(repository: str, commit: str) -> Path:
    """Return the folder of one commit, which may not exist."""
    return folder_of(repository) / "snapshots" / commit


def commits(repository: str) -> list[str]:
    """Return the commits with downloaded files."""
    folder = folder_of(repository) / "snapshots"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def named(repository: str, name: str) -> str:
    """Return the commit of a branch or tag when it was last fetched; empty if never."""
    try:
        commit = (folder_of(repository) / "refs" / name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return commit if COMMIT.fullmatch(commit) else ""


def _recorded() -> dict[str, str]:
    try:
        check_regular(_record())
        known = json_files.parse(_record().read_bytes())
        if not isinstance(known, dict):
            raise ValueError("no JSON object")
    except FileNotFoundError:
        return {}  # `remember_found` reports it
    except (OSError, ValueError) as error:
        _note(f"{_record()} cannot be read, so recorded revisions are ignored: {hub_errors.line(error)}")
        return {}
    return {name: commit for name, commit in known.items() if isinstance(commit, str)}


@cache
def _note(text: str) -> None:
    """Print a note, once per text."""
    messages.note(text)


def recorded(repository: str) -> str:
    """Return the commit that `remember` recorded; empty if none."""
    commit = _recorded().get(repository, "")
    return commit if isinstance(commit, str) and COMMIT.fullmatch(commit) else ""


def commit_of(repository: str, revision: str, setting: str) -> str:
    """Return the commit to read, without the network; empty if it was never fetched.

    Args:
        revision: a commit, branch or tag; empty for the recorded commit, or the newest at the first fetch.
        setting: name of the setting with the revision, for errors.

    Raises:
        UvlpError: the newest commit is not the recorded one.
    """
    if COMMIT.fullmatch(revision):
        return revision
    if revision:
        return named(repository, revision)
    newest, known = named(repository, "main"), recorded(repository)
    if known and newest and newest != known:
        raise UvlpError(
            f"{repository} is at another revision than the recorded one",
            got=newest,
            allowed=known,
            fix=f"choose one: --set {setting}={known} or --set {setting}={newest}",
        )
    return known or newest


def remember_found(repository: str, commit: str) -> None:
    """`remember` with a note if no commit was recorded, because another one could have been meant.

    Raises:
        OSError: it cannot be written.
    """
    if not recorded(repository):
        _note(f"no revision of {repository} is recorded in {_record()}: using {commit} from now on")
    remember(repository, commit)


def remember(repository: str, commit: str) -> None:
    """Record ``commit`` as the one to use if no revision is set.

    Raises:
        OSError: it cannot be written.
    """
    known = _recorded()
    if known.get(repository) != commit:
        write_utf8(_record(), json.dumps(known | {repository: commit}, indent=1, sort_keys=True) + "\n")


Announce = Callable[[int, int], None]
"""Called with the number of files that will be downloaded, and their bytes; may refuse them."""


def transfer(
    repository: str,
    revision: str,
    patterns: Sequence[str],
    progress: Progress,
    announce: Announce = lambda files, size: None,
) -> str:
    """Download the files of ``repository`` that match ``patterns``, unless they exist.

    An interrupted download resumes at the byte where it stopped, even if the process was killed.

    Returns:
        The commit.

    Raises:
        UvlpError: no network, no such repository or revision, no permission, no space left, or by
            ``announce``.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # its warnings are reported below, in one line each
    if constants.HF_HUB_OFFLINE:
        raise UvlpError(
            "nothing can be fetched: the hub's library is in offline mode",
            got=repository,
            fix="unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE",
        )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            locks = cache_folder() / ".locks"
            locks.mkdir(parents=True, exist_ok=True)
            waiting = f"waiting: another process is fetching {repository}"
            path = locks / f"uvlp--{folder_of(repository).name}.lease"
            with lease.acquire(path, lambda _: progress.log(waiting)):  # noqa: B023 - called at once
                return _fetch(repository, revision, list(patterns), progress, announce)
        except UvlpError:
            raise
        except Exception as caught:
            error = hub_errors.cause(caught)
            if not hub_errors.is_transient(error):
                raise hub_errors.explained(error, repository, revision, cache_folder()) from caught
            if attempt == ATTEMPTS:
                raise UvlpError(
                    f"the transfer of {repository} stopped {ATTEMPTS} times: {hub_errors.line(error)}",
                    fix="check the network; re-run the command to resume",
                ) from caught
            progress.log(f"{repository}: {hub_errors.line(error)}; attempt {attempt + 1} of {ATTEMPTS}")
    raise AssertionError


def _fetch(
    repository: str, revision: str, patterns: list[str], progress: Progress, announce: Announce
) -> str:
    """Download; large files with `_resume`, because the library restarts a file after an interruption."""
    from huggingface_hub import snapshot_download

    kind, name = _kind_and_name(repository)
    bar = _file_bar(progress)
    get: Any = partial(snapshot_download, name, repo_type=kind, allow_patterns=patterns, tqdm_class=bar)
    plan = get(revision=revision or None, dry_run=True)
    missing = [file.file_size or 0 for file in plan if not file.is_cached]
    if missing:
        announce(len(missing), sum(missing))
    large = [file for file in plan if not file.is_cached and (file.file_size or 0) >= RESUMED_BYTES]
    done, total = 0, sum(file.file_size for file in large)
    for file in large:
        _resume(repository, file.commit_hash, file.filename, _bar(progress, done, total))
        done += file.file_size
    return Path(get(revision=plan[0].commit_hash if plan else revision or None)).name


def _resume(repository: str, commit: str, name: str, bar: type) -> None:
    """Download one file to the repository's blobs, where the library finds it by its hash."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    kind, owned = _kind_and_name(repository)
    address = hf_hub_url(owned, name, repo_type=kind, revision=commit)
    facts = get_hf_file_metadata(address)
    if facts.etag is None or facts.size is None:
        raise ValueError(f"no hash and no size of {name}")
    blob = folder_of(repository) / "blobs" / facts.etag
    if blob.exists():
        return
    part = blob.with_name(f"{blob.name}{UNFINISHED}")
    if part.is_file() and (part.stat().st_size > facts.size or wrong_content(first_bytes(part))):
        part.unlink()
    part.parent.mkdir(parents=True, exist_ok=True)
    headers = build_hf_headers()
    if urlsplit(facts.location).netloc != urlsplit(address).netloc:
        headers.pop("authorization", None)  # the token is only for the hub, not for its storage server
    with part.open("ab") as file:
        http_get(
            facts.location,
            file,
            resume_size=file.tell(),
            headers=headers,
            expected_size=facts.size,
            displayed_filename=name,
            tqdm_class=bar,
        )
    part.replace(blob)


def _file_bar(progress: Progress) -> type:
    """Return a class of progress bars that only reports finished files to ``progress``."""
    from huggingface_hub.utils.tqdm import tqdm

    class FileBar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **(options | {"disable": True}))

        def __iter__(self) -> Iterator[Any]:
            for done, item in enumerate(self.iterable, 1):
                yield item
                progress.at(done, int(self.total or 0), "files")

    return FileBar


def _bar(progress: Progress, done: int, total: int) -> type:
    """Return a class of progress bars that only reports ``done`` plus its own bytes to ``progress``."""
    from huggingface_hub.utils.tqdm import tqdm

    class ProgressBar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **(options | {"disable": True}))
            self.n = options.get("initial") or 0

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            progress.at((done + int(self.n)) // MEGABYTE, total // MEGABYTE, "MB")

    return ProgressBar
