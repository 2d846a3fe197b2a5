"""Attacks by what has right hashes and is wrong, in scores, images and manifests (B2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attack.ground import Attack, Prepare, refused
from tests.attack.kinds.stores import AGAIN, KINDS, artifact, edit, mend

Change = Callable[[Any], Any]


def forge(kind: str, name: str, change: Change) -> Prepare:
    """Change a file of JSON and mend its hash."""

    def prepare(root: Path) -> None:
        folder = artifact(root, kind)
        edit(min(folder.rglob(name)), change)
        mend(folder)

    return prepare


def exchange(kind: str, one: int, other: int) -> Prepare:
    """Two artifacts of a kind, each in the folder of the other."""

    def prepare(root: Path) -> None:
        first, second = artifact(root, kind, one), artifact(root, kind, other)
        aside = first.with_name("aside")
        first.rename(aside), second.rename(first), aside.rename(second)

    return prepare


def put(**values: Any) -> Change:
    """Set fields of a file of JSON."""
    return lambda content: content.update(values)


def scores() -> dict[str, Prepare]:
    """Scores that others gave."""
    return {
        "score of 100 % with its hash mended": _score(put(best_pct=100.0, last_pct=100.0)),
        "score of NaN with its hash mended": _score(put(best_pct=float("nan"))),
        "score below nothing": _score(put(last_pct=-5.0)),
        "score of other images": _score(put(validation_images=3)),
        "score without its fields": _score(lambda content: {"best_pct": 1.0}),
        "score is a list": _score(lambda content: [content]),
        "score with a text for a number": _score(put(best_pct="high")),
        "two scores exchanged": exchange("scores", 0, 1),
        "two other scores exchanged": exchange("scores", 1, 3),
        "two sets of images exchanged": exchange("distilled", 0, 1),
        "two weights exchanged": exchange("weights", 0, 1),
    }


def _score(change: Change) -> Prepare:
    return forge("scores", "score.json", change)


def manifests() -> dict[str, Prepare]:
    """Manifests that say something else of their artifact."""

    def said(artifacts: str, **values: Any) -> Prepare:
        return lambda root: edit(artifact(root, artifacts) / "manifest.json", put(**values))

    return {
        **{f"no files listed of {kind}": said(kind, files={}) for kind in KINDS},
        **{f"another key in {kind}": said(kind, key="0" * 16) for kind in KINDS},
        **{f"another kind in {kind}": said(kind, kind="teachers") for kind in KINDS},
        **{f"another seed in {kind}": said(kind, facts={"seed": 99}) for kind in ("scores", "distilled")},
        **{f"files are a list in {kind}": said(kind, files=["x"]) for kind in ("scores", "tables")},
        "a hash is null in scores": said("scores", files={"score.json": None}),
        "a file above the store": said("scores", files={"../../../mine/thesis.txt": "0" * 64}),
        "a file of the system": said("scores", files={"/etc/passwd": "0" * 64}),
    }


ATTACKS = [
    Attack(kind="B2", name=name, call=AGAIN, prepare=prepare, expected=refused("--force"))
    for name, prepare in {**scores(), **manifests()}.items()
]
