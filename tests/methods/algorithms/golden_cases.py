"""Reader of the golden data: every case of a file of ``$UVLP_GOLDEN``, in order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

GOLDEN = Path(os.environ.get("UVLP_GOLDEN", Path(__file__).parent.parent.parent / "golden"))


@dataclass(frozen=True)
class Case:
    """One case: ``case["in.img"]``; scalars come as Python values."""

    name: str
    values: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, *keys: str) -> Any:
        """The first of ``keys`` that the case has, else None."""
        return next((self.values[key] for key in keys if key in self.values), None)

    def notebook(self, key: str) -> Any:
        """The notebook's output; where it is missing it equals the package's."""
        return self[f"out.nb.{key}"] if f"out.nb.{key}" in self.values else self[f"out.pkg.{key}"]


def families() -> list[str]:
    """Names of the files in the folder of the methods."""
    found = sorted(path.stem for path in (GOLDEN / "methods").glob("*.npz"))
    assert found, f"no golden data in {GOLDEN / 'methods'}"
    return found


def groups(family: str) -> dict[str, Case]:
    """All groups of a file: its cases and what they share."""
    with numpy.load(GOLDEN / "methods" / f"{family}.npz", allow_pickle=False) as file:
        found: dict[str, dict[str, Any]] = {}
        for key in file:
            group, name = key.split(".", 1) if key.startswith("case") else ("shared", key)
            found.setdefault(group, {})[name] = _plain(file[key])
    return {group: Case(f"{family} {group}", values) for group, values in found.items()}


def cases(family: str) -> list[Case]:
    """The cases of a file, at least one."""
    found = [case for group, case in groups(family).items() if group != "shared"]
    assert found, f"{family}.npz holds no case"
    return found


def _plain(array: numpy.ndarray) -> Any:
    return array.item() if array.ndim == 0 else array
