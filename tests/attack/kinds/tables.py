"""Attacks on tables: `uvlp table` and `uvlp list` print nothing that was changed (B3, D4)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.attack.ground import TABLE, Attack, Prepare, done, refused, right
from tests.attack.kinds.stores import DAMAGES, SHOW, artifact, overwrite
from tests.flipping import flip

FORMS = {"table.md": "markdown", "table.tex": "latex", "table.csv": "csv", "table.json": "markdown"}


def _raised(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("1", "9"), encoding="utf-8")


WAYS: dict[str, Callable[[Path], object]] = {
    "edited": _raised,
    "flipped": flip,
    "empty": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
}


def files() -> list[Attack]:
    """Each file of a table, printed in its format."""

    def text(name: str, how: Callable[[Path], object]) -> Prepare:
        return lambda root: how(artifact(root, "tables") / name)

    return [
        Attack(
            kind="B3",
            name=f"{file} is {way}, printed as {form}",
            call=(*SHOW, "--format", form),
            prepare=text(file, how),
            expected=refused("tables/", "--force"),
        )
        for file, form in FORMS.items()
        for way, how in WAYS.items()
    ]


def neighbours() -> list[Attack]:
    """With a damaged table the others are still printed."""

    def beside(content: bytes) -> Prepare:
        def prepare(root: Path) -> None:
            folder = root / "store" / "tables" / ("f" * 16)
            folder.mkdir()
            (folder / "manifest.json").write_bytes(content)
            (folder / "table.json").write_bytes(content)

        return prepare

    listed = [
        Attack(
            kind="D4",
            name=f"a table beside it is {damage}",
            call=("list", "tables", "--store", "store"),
            prepare=beside(content),
            expected=done(TABLE),
        )
        for damage, content in DAMAGES.items()
    ]
    shown = [
        Attack(
            kind="D4",
            name=f"another table that is {damage} hides none",
            call=SHOW,
            prepare=beside(DAMAGES[damage]),
            expected=right(),
        )
        for damage in ("empty", "null", "list", "deep")
    ]
    return [*listed, *shown]


def comparisons() -> list[Attack]:
    """Verdicts are computed again from the scores, which must exist unchanged."""
    ways: dict[str, Prepare] = {
        "a score was edited": overwrite("scores", "score.json", b'{"best_pct": 100}'),
        "the scores are gone": lambda root: shutil.rmtree(root / "store" / "scores"),
    }
    return [
        Attack(
            kind="B3",
            name=f"compared with another method after {way}",
            call=(*SHOW, "--against", "vlcp"),
            prepare=prepare,
            expected=refused("score"),
        )
        for way, prepare in ways.items()
    ]


ATTACKS = [*files(), *neighbours(), *comparisons()]
