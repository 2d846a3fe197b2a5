"""Whether names of classes can be the names of their folders, on any file system."""

from __future__ import annotations

from collections.abc import Sequence

from uvlp.core.files.unicode_form import nfc
from uvlp.datasets.files.folder_remarks import is_leftover

LONGEST_BYTES = 120
FORBIDDEN = set('/\\:*?"<>|')


def are_folder_names(names: Sequence[str]) -> bool:
    """Return whether all of them can, and stay distinct where case does not count."""
    return all(map(_fits, names)) and len({name.casefold() for name in names}) == len(names)


def _fits(name: str) -> bool:
    return (
        name == nfc(name).strip()
        and name.isprintable()
        and 0 < len(name.encode(errors="replace")) <= LONGEST_BYTES
        and not FORBIDDEN & {*name}
        and not is_leftover(name, True)
        and not name.endswith(".")
    )
