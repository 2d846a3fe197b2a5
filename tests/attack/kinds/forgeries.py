"""Attacks with wrong content and correct hashes, in scores, images and manifests (B2)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attack.ground import NANO, RDED, Attack, Prepare, refused, steps
from tests.attack.kinds.stores import AGAIN, KINDS, SHOW, artifact, edit, update_hashes

Change = Callable[[Any], Any]


def forge(kind: str, name: str, change: Change, store: str = "store") -> Prepare:
    """Change a file of JSON in a kind's first artifact, for scores the first repeat, and update its hash."""

    def prepare(root: Path) -> None:
        folders = [path for path in sorted((root / store / kind).iterdir()) if path.is_dir()]
        facts = [json.loads((path / "manifest.json").read_bytes())["facts"] for path in folders]
        folder = folders[min(range(len(folders)), key=lambda index: facts[index].get("repeat", 0))]
        edit(min(folder.rglob(name)), change)
        update_hashes(folder)

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
    """Forged scores."""
    return {
        "score of 100 % with its hash updated": _score(put(best_pct=100.0, last_pct=100.0)),
        "score of NaN with its hash updated": _score(put(best_pct=float("nan"))),
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
    """Manifests that do not match their artifact."""

    def changed(artifacts: str, **values: Any) -> Prepare:
        return lambda root: edit(artifact(root, artifacts) / "manifest.json", put(**values))

    return {
        **{f"no files listed of {kind}": changed(kind, files={}) for kind in KINDS},
        **{f"another key in {kind}": changed(kind, key="0" * 16) for kind in KINDS},
        **{f"another kind in {kind}": changed(kind, kind="teachers") for kind in KINDS},
        **{f"another seed in {kind}": changed(kind, facts={"seed": 99}) for kind in ("scores", "distilled")},
        **{f"files are a list in {kind}": changed(kind, files=["x"]) for kind in ("scores", "tables")},
        "a hash is null in scores": changed("scores", files={"score.json": None}),
        "a file above the store": changed("scores", files={"../../../mine/thesis.txt": "0" * 64}),
        "a file of the system": changed("scores", files={"/etc/passwd": "0" * 64}),
    }


def _one_more(*names: str) -> Change:
    """These accuracies with one more correct image: a possible value."""

    def change(content: Any) -> None:
        images = content["validation_images"]
        for name in names:
            content[name] = 100 * (round(content[name] * images / 100) + 1) / images

    return change


def _in_cells(content: Any) -> None:
    for cell in content["cells"]:
        cell["top5_best_pct"] = [100.0 for _ in cell["top5_best_pct"]]
        cell["top5_best"]["mean_pct"] = 100.0


BOTH = ("top5_best_pct", "top5_last_pct")
TOP5: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "of another number of images": (
        _score(_one_more("top5_last_pct")),
        ("tables/", "changed after the table"),
    ),
    "of no whole number of images": (_score(put(top5_last_pct=50.01)), ("scores/", "is impossible")),
    "below the accuracy": (_score(put(top5_best_pct=0.0)), ("scores/", "is impossible")),
    "above all": (_score(put(top5_best_pct=200.0)), ("scores/", "is impossible")),
    "of one pass alone": (_score(put(top5_best_pct=None)), ("scores/", "one pass")),
    "taken away": (
        _score(put(top5_best_pct=None, top5_last_pct=None)),
        ("tables/", "changed after the table"),
    ),
    "in the table alone": (forge("tables", "table.json", _in_cells), ("tables/", "top5_best")),
}
"""Top-5 accuracies, whose bits are not stored, and the message for each."""


def top5() -> list[Attack]:
    """A forged top-5 accuracy with the updated hash of its file."""
    return [
        Attack(
            kind="forged",
            name=f"{what} with a top-5 {way}",
            call=call,
            prepare=prepare,
            expected=refused(*words, "--force"),
        )
        for what, call in {"second call": AGAIN, "uvlp table": SHOW}.items()
        for way, (prepare, words) in TOP5.items()
    ] + [
        Attack(
            kind="forged",
            name="a top-5 of the one pass that is best and last",
            call=(*RDED, "--store", "scored"),
            prepare=forge("scores", "score.json", _one_more("top5_best_pct"), "scored"),
            expected=refused("scores/", "the same pass", "--force"),
            needs=("scored", "out"),
        )
    ]


def _without_table(store: str, *names: str) -> Prepare:
    """A forgery that nothing stored reveals: the table, which has the score's hash, is deleted."""
    forged = forge("scores", "score.json", _one_more(*names), store)
    return steps(forged, lambda root: shutil.rmtree(root / store / "tables"))


def trained_again() -> list[Attack]:
    """Forgeries that only another training reveals; without `--rerun` they are printed (docs/checks.md)."""
    again = (*NANO, "--rerun", "1", "--store", "store")
    scored = (*RDED, "--rerun", "1", "--store", "scored")
    return [
        Attack(
            kind="forged",
            name=f"trained again after {' and '.join(names)} of {store} were forged with every hash",
            call=call,
            prepare=_without_table(store, *names),
            expected=refused("not the same score", "top-5"),
            needs=(store, "out"),
        )
        for call, store, names in (
            (again, "store", BOTH[:1]),
            (again, "store", BOTH[1:]),
            (scored, "scored", BOTH),
        )
    ]


FORGED = [
    Attack(kind="B2", name=name, call=AGAIN, prepare=prepare, expected=refused("--force"))
    for name, prepare in {**scores(), **manifests()}.items()
]
ATTACKS = [*FORGED, *top5(), *trained_again()]
