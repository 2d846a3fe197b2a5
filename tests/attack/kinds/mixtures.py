"""Attacks on a store with the user's files in it, with `--force`, and unexpected kinds of files (A, D2)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.attack.ground import NANO, Attack, Prepare, done, refused, right
from tests.attack.kinds.stores import AGAIN, FILES, artifact, overwrite


def force() -> list[Attack]:
    """`--force` rebuilds what is damaged, and keeps files that are not its own."""

    def beside(root: Path) -> None:
        (artifact(root, "scores") / "my notes.txt").write_text("mine", encoding="utf-8")
        overwrite("scores", "score.json", b"")(root)

    return [
        Attack(
            kind="A",
            name=f"--force after a file of {kind} was damaged",
            call=(*AGAIN, "--force"),
            prepare=overwrite(kind, FILES[kind], b""),
            expected=right(),
            changes=f"{kind}/",
        )
        for kind in ("scores", "tables", "captions", "pixels")
    ] + [
        Attack(
            kind="A",
            name="--force keeps a file of the user's in an artifact",
            call=(*AGAIN, "--force"),
            prepare=beside,
            expected=done("set_aside"),
            changes="scores/",
        ),
        Attack(
            kind="D4",
            name="--force after a manifest was emptied",
            call=(*AGAIN, "--force"),
            prepare=overwrite("scores", "manifest.json", b""),
            expected=right(),
            changes="scores/",
        ),
    ]


def shapes() -> list[Attack]:
    """Unexpected kinds of files in the store's own paths."""

    def put(name: str, make: Callable[[Path], object]) -> Prepare:
        def prepare(root: Path) -> None:
            path = root / "store" / name
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
            make(path)

        return prepare

    made = {
        "a file": lambda path: path.write_text("mine", encoding="utf-8"),
        "a dangling link": lambda path: path.symlink_to("nowhere"),
        "a pipe": lambda path: os.mkfifo(path),
    }
    fresh = (*NANO[:2], "3", *NANO[3:], "--store", "store")
    return [
        Attack(
            kind="D2",
            name=f"{name} of the store is {what}",
            call=fresh,
            prepare=put(name, make),
            expected=refused("store"),
            changes=f"^store/{name}",
        )
        for name in (".tmp", ".locks", "scores", "distilled")
        for what, make in made.items()
    ]


ATTACKS = [*force(), *shapes()]
