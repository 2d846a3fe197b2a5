"""Attacks on the cached facts of a store (dataset, verified files, marker): never a different table (B5)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.attack.ground import Attack, right, steps
from tests.attack.kinds.stores import AGAIN, DAMAGES
from tests.flipping import flip

Damage = Callable[[Path], object]


def _dataset(root: Path) -> Path:
    return min((root / "store" / "datasets").glob("digits*.json"))


def _verified(root: Path) -> Path:
    return root / "store" / ".verified.json"


MEMORIES: dict[str, tuple[Callable[[Path], Path], int]] = {
    "dataset": (_dataset, 16),
    "verified files": (_verified, 8),
    "mark": (lambda root: root / "store" / "uvlp_store.json", 4),
}
"""Path of each, and the number of positions to flip a bit at."""


def _replaced(old: str, new: str) -> Damage:
    return lambda path: path.write_text(re.sub(old, new, path.read_text(encoding="utf-8")), encoding="utf-8")


def flips() -> dict[str, Damage]:
    """A flipped bit, at positions from the first byte to the last."""
    return {
        f"{name} remembered with a flip at {share}/{parts}": partial(flip, share=share / parts)
        for name, (_, parts) in MEMORIES.items()
        for share in range(parts + 1)
    }


def shapes() -> dict[str, Damage]:
    """Other content, or something else instead of the file."""
    found: dict[str, Damage] = {}
    for name in MEMORIES:
        for damage, content in DAMAGES.items():
            found[f"{name} remembered as {damage}"] = partial(Path.write_bytes, data=content)
        found[f"{name} remembered in a folder"] = steps(Path.unlink, Path.mkdir)
        found[f"{name} remembered in a pipe"] = steps(Path.unlink, os.mkfifo)
    return found


def changes() -> dict[str, Damage]:
    """Another dataset."""
    return {
        "dataset remembered with a class renamed": _replaced('"three"', '"four!"'),
        "dataset remembered with classes smaller": _replaced(r'"train": ?\d+', '"train": 1'),
        "dataset remembered with another hash": _replaced("[0-9a-f]{64}", "0" * 64),
    }


def _attack(name: str, how: Damage) -> Attack:
    where, _ = MEMORIES[name.partition(" remembered")[0]]
    return Attack(kind="B5", name=name, call=AGAIN, prepare=lambda root: how(where(root)), expected=right())


ATTACKS = [_attack(name, how) for name, how in {**flips(), **shapes(), **changes()}.items()]
