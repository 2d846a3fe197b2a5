"""Errors of the hub and its library: whether to try again, and what they mean for the user."""

from __future__ import annotations

from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import NOT_WRITABLE, is_full

LOG_IN = "accept its terms on its page if it has any, and set HF_TOKEN to your token"


def line(error: BaseException) -> str:
    """Return type and text of an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def status(error: BaseException) -> int:
    """Return the HTTP status of the response in ``error``; 0 without a response."""
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def cause(error: Exception) -> BaseException:
    """Return the error that made the library fall back to its cache, if any, else ``error``."""
    from huggingface_hub.errors import DryRunError, LocalEntryNotFoundError

    cache_miss = isinstance(error, DryRunError | LocalEntryNotFoundError)
    return error.__cause__ or error if cache_miss else error


def has_no_connection(error: BaseException) -> bool:
    """Return whether the server could not be reached at all."""
    return isinstance(error, ConnectionError) or type(error).__name__ in ("ConnectError", "ConnectTimeout")


def is_page(error: BaseException) -> bool:
    """Return whether the response is not the hub's, but e.g. the log-in page of a network or proxy."""
    from huggingface_hub.errors import HFValidationError

    garbled = isinstance(error, ValueError | KeyError | TypeError)
    return status(error) in (407, 511) or (garbled and not isinstance(error, HFValidationError))


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may help: a broken stream or a busy server."""
    if is_page(error):
        return False
    if status(error):
        return status(error) in (408, 429) or status(error) >= 500
    # The library's client is a version of httpx, which has already retried to connect.
    is_client = type(error).__module__.startswith("httpx") and not has_no_connection(error)
    return is_client or (isinstance(error, RuntimeError) and not is_full(error))


def explained(error: BaseException, repository: str, revision: str, folder: Path) -> UvlpError:
    """Return the error of a download from ``repository`` into ``folder`` for the user."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if is_full(error):
        fix = "free some space, or set HF_HOME to a larger disk; re-run the command to resume"
        return UvlpError(f"no space left while fetching {repository}", got=str(folder), fix=fix)
    if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
        fix = "set HF_HOME to a writable folder"
        return UvlpError("fetched files cannot be written", got=str(folder), fix=fix)
    if is_page(error):
        what = f"the response of {constants.ENDPOINT} is not that of a hub, but e.g. a log-in page"
        fix = "log in to the network or its proxy, or correct HF_ENDPOINT; re-run the command to resume"
        return UvlpError(what, got=f"{repository}: {line(error)}", fix=fix)
    if has_no_connection(error):
        fix = "check the network and the proxy; re-run the command to resume"
        return UvlpError(f"no connection to {constants.ENDPOINT}", got=repository, fix=fix)
    if isinstance(error, GatedRepoError) or status(error) == 403:
        return UvlpError("this repository requires permission", got=repository, fix=LOG_IN)
    if isinstance(error, RevisionNotFoundError):
        fix = "use a commit of its history"
        return UvlpError(f"{repository} has no such revision", got=revision or "main", fix=fix)
    if isinstance(error, RepositoryNotFoundError) or status(error) in (401, 404):
        what = f"no such repository at {constants.ENDPOINT}, or a private one"
        return UvlpError(what, got=repository, fix=f"check its name; if it is private, {LOG_IN}")
    return UvlpError(f"{repository} cannot be fetched: {line(error)}", fix="re-run the command to resume")
