"""Is a file a TorchScript archive: a compiled program with its weights, as OpenAI publishes CLIP?

Such a `.pt` is a zip file as torch's checkpoints are, with the program beside the weights; what reads weights
alone does not take it.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.core.files.foreign_files import begins

TITLE = "a TorchScript archive, a program with its weights"
_ZIP, _CONSTANTS = b"PK\3\4", b"/constants.pkl"
_LIST_BYTES = 1 << 20
"""The list of an archive's files ends it; that of OpenAI's largest has a tenth of it."""


def is_torchscript(path: Path) -> bool:
    """Told from the list of its files; False where it cannot be read.

    Raises:
        UvlpError: it is no regular file.
    """
    if not begins(path).startswith(_ZIP):
        return False
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LIST_BYTES))
            return _CONSTANTS in file.read(_LIST_BYTES)
    except OSError:
        return False
