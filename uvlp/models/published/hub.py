"""Model repositories: where their files lie after a transfer, and the transfer itself.

The layout is that of the hub's own library, so that files it already has are used and not fetched again:
`models--OWNER--NAME/snapshots/COMMIT/...` below ``$HF_HOME/hub``. Looking needs neither network nor library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from uvlp.core import streams
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.foreign_files import check_regular, first_bytes, wrong_content
from uvlp.core.files.os_errors import NOT_WRITABLE, is_full
from uvlp.core.files.writing import write_utf8
from uvlp.core.progress import Progress

COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"(?=.{1,96}$)[\w-][\w.-]*(/[\w-][\w.-]*)?")
"""Names of repositories; the hub has none of more than 96 characters."""
RECORD = "uvlp_revisions.json"
ATTEMPTS = 3
MEGABYTE = 10**6
RESUMED_BYTES = 10**7
UNFINISHED = ".uvlp.incomplete"
LOG_IN = "accept its terms on its page if it has any, and put a token of yours into HF_TOKEN"


def cache_folder() -> Path:
    """The folder with the repositories, which ``HF_HOME`` decides."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _record() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / RECORD


def page(repository: str) -> str:
    """Address of the repository's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}"


def folder_of(repository: str) -> Path:
    """Where the files of ``repository`` lie, if there are any."""
    return cache_folder() / f"models--{repository.replace('/', '--')}"


def snapshot(repository: str, commit: str) -> Path:
    """Where the files of one commit lie, if there are any."""
    return folder_of(repository) / "snapshots" / commit


def commits(repository: str) -> list[str]:
    """The commits of which there are files."""
    place = folder_of(repository) / "snapshots"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def _named(repository: str, name: str) -> str:
    """The commit that a branch or tag had when it was last fetched; empty if it never was."""
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
        return {}  # said where a repository is read that it should name
    except (OSError, ValueError) as error:
        _tell(
            f"{_record()} cannot be read, so no revision of a repository counts as recorded: {_line(error)}"
        )
        return {}
    return {name: commit for name, commit in known.items() if isinstance(commit, str)}


@cache
def _tell(text: str) -> None:
    """Say it once, however often it is met."""
    streams.print_error(f"note   {text}")


def recorded(repository: str) -> str:
    """The commit that :func:`remember` recorded; empty if there is none."""
    commit = _recorded().get(repository, "")
    return commit if isinstance(commit, str) and COMMIT.fullmatch(commit) else ""


def commit_of(repository: str, revision: str, setting: str) -> str:
    """The commit to read, found without the network; empty if it was never fetched.

    Args:
        revision: a commit, or a branch or tag; empty: the newest at the first fetch, then that one.
        setting: name of the setting that holds the revision, for the reader.

    Raises:
        UvlpError: the newest commit is no longer the one that was recorded.
    """
    if COMMIT.fullmatch(revision):
        return revision
    if revision:
        return _named(repository, revision)
    newest, known = _named(repository, "main"), recorded(repository)
    if known and newest and newest != known:
        raise UvlpError(
            f"{repository} is at another revision than the recorded one",
            got=newest,
            allowed=known,
            fix=f"say which: --set {setting}={known} or --set {setting}={newest}",
        )
    return known or newest


def remember_found(repository: str, commit: str) -> None:
    """As :func:`remember`, and say it where another commit could have been meant: none was recorded.

    Raises:
        OSError: it cannot be written.
    """
    if not recorded(repository):
        _tell(
            f"no revision of {repository} is recorded in {_record()}: {commit} is here, and read from now on"
        )
    remember(repository, commit)


def remember(repository: str, commit: str) -> None:
    """Record that ``commit`` is the one to read from now on, where no revision is asked for.

    Raises:
        OSError: it cannot be written.
    """
    known = _recorded()
    if known.get(repository) != commit:
        write_utf8(_record(), json.dumps(known | {repository: commit}, indent=1, sort_keys=True) + "\n")


def transfer(repository: str, revision: str, patterns: Sequence[str], progress: Progress) -> str:
    """Fetch the files of ``repository`` that match ``patterns``; what is there already is kept.

    Returns:
        The commit. A transfer that was interrupted, even killed, continues at the byte where it stopped.

    Raises:
        UvlpError: no network, no such repository or revision, no permission, no space left.
    """
    from filelock import FileLock
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # what it warns of is said below, in one line each
    if constants.HF_HUB_OFFLINE:
        raise UvlpError(
            "nothing can be fetched: the hub's library is told to stay offline",
            got=repository,
            fix="unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE",
        )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            locks = cache_folder() / ".locks"
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / f"uvlp--{folder_of(repository).name}.lock"):
                return _fetch(repository, revision, list(patterns), progress)
        except Exception as caught:
            error = _cause(caught)
            if not _is_transient(error):
                raise _explained(error, repository, revision) from caught
            if attempt == ATTEMPTS:
                raise UvlpError(
                    f"the transfer of {repository} stopped {ATTEMPTS} times: {_line(error)}",
                    fix="check the network; re-run the command to resume",
                ) from caught
            progress.log(f"{repository}: {_line(error)}; attempt {attempt + 1} of {ATTEMPTS}")
    raise AssertionError


def _fetch(repository: str, revision: str, patterns: list[str], progress: Progress) -> str:
    """Large files by `_resume`, because the library begins a file anew after an interruption."""
    from huggingface_hub import snapshot_download

    get: Any = partial(
        snapshot_download, repository, allow_patterns=patterns, tqdm_class=_bar(Progress(), 0, 0)
    )
    plan = get(revision=revision or None, dry_run=True)
    large = [file for file in plan if not file.is_cached and (file.file_size or 0) >= RESUMED_BYTES]
    done, total = 0, sum(file.file_size for file in large)
    for file in large:
        _resume(repository, file.commit_hash, file.filename, _bar(progress, done, total))
        done += file.file_size
    return Path(get(revision=plan[0].commit_hash if plan else revision or None)).name


def _resume(repository: str, commit: str, name: str, bar: type) -> None:
    """Put one file among the repository's blobs, where the library finds it by its hash."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    address = hf_hub_url(repository, name, revision=commit)
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
        headers.pop("authorization", None)  # a token is for the hub, not for where it keeps its files
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


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _status(error: BaseException) -> int:
    """HTTP status of the answer behind ``error``; 0 if there was none."""
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _cause(error: Exception) -> BaseException:
    """What the library took for a reason to look into its cache only, which it tells in many words."""
    from huggingface_hub.errors import DryRunError, LocalEntryNotFoundError

    cache_miss = isinstance(error, DryRunError | LocalEntryNotFoundError)
    return error.__cause__ or error if cache_miss else error


def _has_no_connection(error: BaseException) -> bool:
    return isinstance(error, ConnectionError) or type(error).__name__ in ("ConnectError", "ConnectTimeout")


def _is_page(error: BaseException) -> bool:
    """An answer that no hub gives: the log-in page of a network or a proxy, or of another program."""
    from huggingface_hub.errors import HFValidationError

    garbled = isinstance(error, ValueError | KeyError | TypeError)
    return _status(error) in (407, 511) or (garbled and not isinstance(error, HFValidationError))


def _is_transient(error: BaseException) -> bool:
    """A stream that broke or a server that is busy, as against an answer that will stay the same."""
    if _is_page(error):
        return False
    if _status(error):
        return _status(error) in (408, 429) or _status(error) >= 500
    # The library's client is httpx under one name or another. It has tried to connect many times before.
    is_client = type(error).__module__.startswith("httpx") and not _has_no_connection(error)
    return is_client or (isinstance(error, RuntimeError) and not is_full(error))


def _explained(error: BaseException, repository: str, revision: str) -> UvlpError:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if is_full(error):
        fix = "make room, or set HF_HOME to a larger disk; re-run the command to resume"
        return UvlpError(f"no space left while {repository} was fetched", got=str(cache_folder()), fix=fix)
    if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
        fix = "set HF_HOME to a folder that can be written"
        return UvlpError("fetched files cannot be written", got=str(cache_folder()), fix=fix)
    if _is_page(error):
        what = f"{constants.ENDPOINT} answers with something else than a hub does, such as a log-in page"
        fix = "log in to the network or its proxy, or correct HF_ENDPOINT; re-run the command to resume"
        return UvlpError(what, got=f"{repository}: {_line(error)}", fix=fix)
    if _has_no_connection(error):
        fix = "check the network and the proxy; re-run the command to resume"
        return UvlpError(f"no connection to {constants.ENDPOINT}", got=repository, fix=fix)
    if isinstance(error, GatedRepoError) or _status(error) == 403:
        return UvlpError("this repository is open only to those who asked", got=repository, fix=LOG_IN)
    if isinstance(error, RevisionNotFoundError):
        fix = "name a commit that its history has"
        return UvlpError(f"{repository} has no such revision", got=revision or "main", fix=fix)
    if isinstance(error, RepositoryNotFoundError) or _status(error) in (401, 404):
        what = f"no such repository at {constants.ENDPOINT}, or a private one"
        return UvlpError(what, got=repository, fix=f"check its name; if it is private, {LOG_IN}")
    return UvlpError(f"{repository} cannot be fetched: {_line(error)}", fix="re-run the command to resume")


def _bar(progress: Progress, done: int, total: int) -> type:
    """A class of progress bars that draws nothing and tells ``progress`` of ``done`` bytes and its own."""
    from huggingface_hub.utils.tqdm import tqdm

    class ProgressBar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **(options | {"disable": True}))
            self.n = options.get("initial") or 0

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            progress.at((done + int(self.n)) // MEGABYTE, total // MEGABYTE, "MB")

    return ProgressBar
