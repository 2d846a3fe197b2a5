"""Detection of TorchScript archives: a compiled program with its weights, as OpenAI publishes CLIP.

Such a `.pt` is a zip file like a torch checkpoint, with the program beside the weights; code that loads
only weights cannot read it.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.core.files.foreign_files import first_bytes

TITLE = "a TorchScript archive, a program with its weights"
_ZIP, _CONSTANTS = b"PK\3\4", b"/constants.pkl"
_LIST_BYTES = 1 << 20
"""The list of files is at the end of an archive; that of OpenAI's largest has a tenth of these bytes."""


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive, from its list of files; False if unreadable.

    Raises:
        UvlpError: it is not a regular file.
    """
    if not first_bytes(path).startswith(_ZIP):
        return False
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LIST_BYTES))
            return _CONSTANTS in file.read(_LIST_BYTES)
    except OSError:
        return False
