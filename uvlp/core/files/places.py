"""Folders and files that a user names, by an option or by a variable of the environment."""

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
"""Variables that name a folder, of ours and of the libraries that we call."""
KERNELS_OWN = ("/proc", "/sys")


def forget_empty_variables() -> None:
    """Unset the variables that are empty: as a path, "" would be the current folder."""
    for name in VARIABLES:
        if os.environ.get(name, " ").strip() == "":
            os.environ.pop(name, None)


def check_endpoint() -> None:
    """Refuse an ``HF_ENDPOINT`` that is no address; the hub's library cannot even be imported with some.

    Raises:
        UvlpError: it names no server.
    """
    address = os.environ.get("HF_ENDPOINT", "").strip()
    if not address:
        os.environ.pop("HF_ENDPOINT", None)
        return
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not address.isprintable() or " " in address:
        fix = "correct the variable, or unset it"
        raise UvlpError("HF_ENDPOINT is no address of a hub", got=address, allowed="https://HOST", fix=fix)


def refuse_empty(option: str, value: str | None) -> str | None:
    """``value``; None where the option was not given.

    Raises:
        UvlpError: it is empty, which as a path would be the current folder.
    """
    if value is not None and not value.strip():
        raise UvlpError(f"{option} is empty", got=value, allowed="a path", fix="name one, or leave it out")
    return value


def store_folder(option: str | None) -> Path:
    """The store: the option, else ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: the option is empty, or names the home of nobody.
    """
    name = refuse_empty("--store", option) or os.environ.get("UVLP_STORE", "").strip() or "uvlp_store"
    return expanded(name)


def unfit(path: Path) -> str:
    """Why there can be no folder at ``path``; empty where there is one, or one can be made."""
    if os.path.islink(path) and not os.path.exists(path):
        return f"a link to nothing: {os.readlink(path)}"
    if os.path.exists(path) and not os.path.isdir(path):
        return "something that is no folder"
    nearest = next(each for each in (path.absolute(), *path.absolute().parents) if os.path.exists(each))
    if not os.path.isdir(nearest):
        return f"below a file: {nearest}"
    if any(os.path.exists(each) and os.stat(each).st_dev == os.stat(nearest).st_dev for each in KERNELS_OWN):
        return "a view into the kernel, which keeps no files"
    return ""


def check_folder(what: str, path: Path, option: str) -> Path:
    """The path, if a folder is there or can be made.

    Args:
        what: is to lie there, for the message.
        option: that names another place.

    Raises:
        UvlpError: a link to nothing, a file, a place that keeps no files, or a folder whose name looks the
            same and is another one.
    """
    other = other_form(path) if not os.path.lexists(path) else None
    if other:
        raise UvlpError(
            f"{what}: {DIFFERENT}", got=str(path), fix=f"did you mean {other}? Say so with {option}"
        )
    if reason := unfit(path):
        raise UvlpError(f"the {what} cannot lie at {path}", got=reason, fix=f"name another place: {option}")
    return path


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def expanded(name: str) -> Path:
    """The path ``name``, with ``~`` for the user's home.

    Raises:
        UvlpError: it begins with the home of nobody.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UvlpError("no such home folder", got=name, fix="write the whole path") from error
