"""Folders and files that a user names, by an option or by a variable of the environment."""

from __future__ import annotations

import os
from pathlib import Path

from uvlp.core.errors import UvlpError

VARIABLES = (
    *("UVLP_STORE", "UVLP_DATA"),
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE"),
    *("TORCH_HOME", "XDG_CACHE_HOME"),
)
"""Variables that name a folder, of ours and of the libraries that we call."""


def forget_empty_variables() -> None:
    """Unset the variables that are empty: as a path, "" would be the current folder."""
    for name in VARIABLES:
        if os.environ.get(name, " ").strip() == "":
            os.environ.pop(name, None)


def refuse_empty(option: str, value: str | None) -> str | None:
    """``value``; None where the option was not given.

    Raises:
        UvlpError: it is empty, which as a path would be the current folder.
    """
    if value is not None and not value.strip():
        raise UvlpError(f"{option} is empty", got=value, allowed="a path", do="name one, or leave it out")
    return value


def store_folder(option: str | None) -> Path:
    """The store: the option, else ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: the option is empty, or names the home of nobody.
    """
    name = refuse_empty("--store", option) or os.environ.get("UVLP_STORE", "").strip() or "uvlp_store"
    return expanded(name)


def expanded(name: str) -> Path:
    """The path ``name``, with ``~`` for the user's home.

    Raises:
        UvlpError: it begins with the home of nobody.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UvlpError("no such home folder", got=name, do="write the whole path") from error
