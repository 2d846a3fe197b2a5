"""What `uvlp doctor` prints."""

from __future__ import annotations

from dataclasses import dataclass

INSTALL = "python -m pip install --require-hashes -r docker/requirements.lock"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was checked, whether it is good, what was found, how to fix it."""

    what: str
    good: bool
    found: str
    fix: str = ""
