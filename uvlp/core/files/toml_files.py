"""TOML files that users write, read with one clear line for every mistake."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_regular


def read(path: Path, fix: str) -> dict[str, Any]:
    """Return the content of a file.

    Args:
        path: the file.
        fix: the next step for the user if it cannot be read.

    Raises:
        UvlpError: it does not exist, is no regular file, or no TOML in UTF-8.
    """
    try:
        check_regular(path)
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror, fix=fix) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UvlpError(f"{path} is not TOML in UTF-8", got=str(error), fix=fix) from error
