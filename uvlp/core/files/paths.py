"""Folders and files that a user names by an option or an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import DIFFERENT, other_form

VARIABLES = (
    *("UVLP_STORE", "UVLP_DATA"),
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE"),
    *("TORCH_HOME", "XDG_CACHE_HOME"),
)
"""Variables of UVLP and of its libraries that name a folder."""
KERNEL_FOLDERS = ("/proc", "/sys")


def forget_empty_variables() -> None:
    """Unset empty variables: as a path, "" would mean the current folder."""
    for name in VARIABLES:
        if os.environ.get(name, " ").strip() == "":
            os.environ.pop(name, None)


def check_endpoint() -> None:
    """Refuse an invalid ``HF_ENDPOINT``; with some values even the import of huggingface_hub fails.

    Raises:
        UvlpError: it is not the URL of a server.
    """
    address = os.environ.get("HF_ENDPOINT", "").strip()
    if not address:
        os.environ.pop("HF_ENDPOINT", None)
        return
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not address.isprintable() or " " in address:
        fix = "correct the variable, or unset it"
        raise UvlpError("HF_ENDPOINT is not a valid URL", got=address, allowed="https://HOST", fix=fix)


def refuse_empty(option: str, value: str | None) -> str | None:
    """Return ``value``; None if the option was not given.

    Raises:
        UvlpError: it is empty, which as a path would mean the current folder.
    """
    if value is not None and not value.strip():
        raise UvlpError(f"{option} is empty", got=value, allowed="a path", fix="give one, or omit the option")
    return value


def store_folder(option: str | None) -> Path:
    """Return the path of the store: the option, else ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: the option is empty, or names the home of an unknown user.
    """
    name = refuse_empty("--store", option) or os.environ.get("UVLP_STORE", "").strip() or "uvlp_store"
    return expand_home(name)


def why_unusable(path: Path) -> str:
    """Return why ``path`` cannot be a folder; empty if it is one or can be created."""
    if os.path.islink(path) and not os.path.exists(path):
        return f"a broken link to {os.readlink(path)}"
    if os.path.exists(path) and not os.path.isdir(path):
        return "not a folder"
    nearest = next(each for each in (path.absolute(), *path.absolute().parents) if os.path.exists(each))
    if not os.path.isdir(nearest):
        return f"below a file: {nearest}"
    device = os.stat(nearest).st_dev
    if any(os.path.exists(each) and os.stat(each).st_dev == device for each in KERNEL_FOLDERS):
        return "a file system of the kernel, which cannot store files"
    return ""


def check_folder(what: str, path: Path, option: str) -> Path:
    """Return ``path`` if it is a folder or can be created as one.

    Args:
        what: what is stored there, for the message.
        option: the option that sets another path.

    Raises:
        UvlpError: it is a broken link, a file, or on a file system of the kernel; or there is a folder whose
            name differs in its Unicode form only.
    """
    other = other_form(path) if not os.path.lexists(path) else None
    if other:
        raise UvlpError(
            f"{what}: {DIFFERENT}", got=str(path), fix=f"did you mean {other}? Set it with {option}"
        )
    if reason := why_unusable(path):
        raise UvlpError(f"the {what} cannot be at {path}", got=reason, fix=f"set another path: {option}")
    return path


def nearest_existing(path: Path) -> Path:
    """Return the path, or its nearest parent folder that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def expand_home(name: str) -> Path:
    """Return the path ``name``, with a leading ``~`` expanded.

    Raises:
        UvlpError: it begins with the home of an unknown user.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UvlpError("no such home folder", got=name, fix="give the full path") from error
