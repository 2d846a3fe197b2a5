"""One line of `uvlp doctor`."""

from __future__ import annotations

from dataclasses import dataclass

INSTALL = "python -m pip install --require-hashes -r docker/requirements.lock"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a check: what was checked, whether it is fine, what was found, how to fix it."""

    what: str
    good: bool
    found: str
    fix: str = ""
