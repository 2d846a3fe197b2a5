"""The golden data: the cases of the files in ``$UVLP_GOLDEN``, and tests that loop over them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

GOLDEN = Path(os.environ.get("UVLP_GOLDEN", Path(__file__).parent.parent.parent / "golden"))


@dataclass(frozen=True)
class Case:
    """A case, e.g. ``case["in.img"]``; scalars are Python values."""

    name: str
    values: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, *keys: str) -> Any:
        """The value of the first of ``keys`` in the case, else None."""
        return next((self.values[key] for key in keys if key in self.values), None)

    def notebook(self, key: str) -> Any:
        """The notebook's output; if missing, it equals the package's."""
        return self[f"out.nb.{key}"] if f"out.nb.{key}" in self.values else self[f"out.pkg.{key}"]


def groups(family: str) -> dict[str, Case]:
    """All groups of a file: its cases, and the values that they share."""
    with numpy.load(GOLDEN / "methods" / f"{family}.npz", allow_pickle=False) as file:
        by_group: dict[str, dict[str, Any]] = {}
        for key in file:
            group, name = key.split(".", 1) if key.startswith("case") else ("shared", key)
            by_group.setdefault(group, {})[name] = _plain(file[key])
    return {group: Case(f"{family} {group}", values) for group, values in by_group.items()}


def cases(family: str) -> list[Case]:
    """The cases of a file, at least one."""
    listed = [case for group, case in groups(family).items() if group != "shared"]
    assert listed, f"{family}.npz has no cases"
    return listed


def golden(family: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a test with a parameter ``case`` to loop over the cases of a file; failures name the case."""

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def test(**fixtures: Any) -> None:
            for case in cases(family):
                try:
                    check(case=case, **fixtures)
                except AssertionError as error:
                    error.add_note(case.name)
                    raise

        parameters = inspect.signature(check).parameters
        others = [value for name, value in parameters.items() if name != "case"]
        test.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]
        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def _plain(array: numpy.ndarray) -> Any:
    return array.item() if array.ndim == 0 else array
