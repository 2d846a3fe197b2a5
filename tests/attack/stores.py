"""Attacks on what lies in a store: every kind of artifact, every file of JSON, every memory (A, B, D4)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.attack.ground import NANO, TABLE, Attack, Prepare, done, refused, right, steps
from tests.flipping import flip

AGAIN = (*NANO, "--store", "store")
SHOW = ("table", TABLE, "--store", "store")
KINDS = ("captions", "distilled", "features", "pixels", "prototypes", "scores", "tables", "weights")
DAMAGES: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"kind": "sco',
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "text": b'"manifest"',
    "number": b"-0",
    "deep": b"[" * 100_000,
    "latin-1": b'{"kind": "\xe9"}',
    "binary": bytes(range(256)),
}


def artifact(root: Path, kind: str, number: int = 0) -> Path:
    """One artifact of a kind."""
    return sorted(path for path in (root / "store" / kind).iterdir() if path.is_dir())[number]


def overwrite(kind: str, name: str, content: bytes) -> Prepare:
    """Replace a file of an artifact; ``name`` is a pattern."""

    def prepare(root: Path) -> None:
        min(artifact(root, kind).rglob(name)).write_bytes(content)

    return prepare


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Rewrite a file of JSON."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(content) or content, indent=1), encoding="utf-8")


def mend(folder: Path) -> None:
    """Bring the hashes in an artifact's manifest up to date, as a forger would."""

    def update(content: dict[str, Any]) -> None:
        for name in content["files"]:
            content["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()

    edit(folder / "manifest.json", update)


def manifests() -> list[Attack]:
    """Every kind's manifest, damaged in every way."""
    return [
        Attack(
            kind="D4",
            name=f"manifest of {kind} is {damage}",
            call=AGAIN,
            prepare=overwrite(kind, "manifest.json", content),
            expected=refused(f"{kind}/", "--force"),
        )
        for kind in KINDS
        for damage, content in DAMAGES.items()
        if kind in ("scores", "tables", "weights") or damage in ("empty", "null", "list", "object", "deep")
    ]


FILES = {
    "scores": "score.json",
    "tables": "table.json",
    "pixels": "validation.npy",
    "captions": "metadata.jsonl",
    "prototypes": "prototypes.jsonl",
    "distilled": "*.png",
    "features": "*.npy",
    "weights": "*.safetensors",
}


def files() -> list[Attack]:
    """A file of every kind flipped, cut, emptied, deleted, or replaced by a folder, a link or a pipe."""

    def change(kind: str, how: Callable[[Path], object]) -> Prepare:
        return lambda root: how(min(artifact(root, kind).rglob(FILES[kind])))

    def removed(make: Callable[[Path], object]) -> Callable[[Path], object]:
        return steps(Path.unlink, make)

    ways: dict[str, Callable[[Path], object]] = {
        "flipped at the start": lambda path: flip(path, 0),
        "flipped in the middle": lambda path: flip(path, 0.5),
        "flipped at the end": lambda path: flip(path, 1),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "deleted": lambda path: path.unlink(),
        "a folder": removed(lambda path: path.mkdir()),
        "a pipe": removed(lambda path: os.mkfifo(path)),
        "a dangling link": removed(lambda path: path.symlink_to("nowhere")),
        "a link to itself": removed(lambda path: path.symlink_to(path.name)),
    }
    return [
        Attack(
            kind="B2",
            name=f"file of {kind} is {way}",
            call=AGAIN,
            prepare=change(kind, how),
            expected=refused(f"{kind}/", "--force"),
        )
        for kind in KINDS
        for way, how in ways.items()
        if kind in ("scores", "distilled")
        or way in ("flipped in the middle", "deleted", "a folder", "a pipe")
    ]


def forgeries() -> list[Attack]:
    """What has right hashes and is wrong."""

    def forge(kind: str, name: str, change: Callable[[Any], Any]) -> Prepare:
        def prepare(root: Path) -> None:
            folder = artifact(root, kind)
            edit(min(folder.rglob(name)), change)
            mend(folder)

        return prepare

    def in_manifest(kind: str, change: Callable[[Any], Any]) -> Prepare:
        return lambda root: edit(artifact(root, kind) / "manifest.json", change)

    def exchange(kind: str, one: int, other: int) -> Prepare:
        def prepare(root: Path) -> None:
            first, second = artifact(root, kind, one), artifact(root, kind, other)
            aside = first.with_name("aside")
            first.rename(aside), second.rename(first), aside.rename(second)

        return prepare

    def put(**values: Any) -> Callable[[Any], Any]:
        return lambda content: content.update(values)

    def hundred(content: Any) -> None:
        for name in ("best_pct", "last_pct"):
            content[name] = 100.0

    again: list[tuple[str, Prepare]] = [
        ("score of 100 % with its hash mended", forge("scores", "score.json", hundred)),
        ("score of NaN with its hash mended", forge("scores", "score.json", put(best_pct=float("nan")))),
        ("score below nothing", forge("scores", "score.json", put(last_pct=-5.0))),
        ("score of other images", forge("scores", "score.json", put(validation_images=3))),
        ("score without its fields", forge("scores", "score.json", lambda content: {"best_pct": 1.0})),
        ("score is a list", forge("scores", "score.json", lambda content: [content])),
        ("score with a text for a number", forge("scores", "score.json", put(best_pct="high"))),
        ("two scores exchanged", exchange("scores", 0, 1)),
        ("two other scores exchanged", exchange("scores", 1, 3)),
        ("two sets of images exchanged", exchange("distilled", 0, 1)),
        ("two weights exchanged", exchange("weights", 0, 1)),
        *((f"no files listed of {kind}", in_manifest(kind, put(files={}))) for kind in KINDS),
        *((f"another key in {kind}", in_manifest(kind, put(key="0" * 16))) for kind in KINDS),
        *((f"another kind in {kind}", in_manifest(kind, put(kind="teachers"))) for kind in KINDS),
        *(
            (f"another seed in {kind}", in_manifest(kind, put(facts={"seed": 99})))
            for kind in ("scores", "distilled")
        ),
        *(
            (f"files are a list in {kind}", in_manifest(kind, put(files=["x"])))
            for kind in ("scores", "tables")
        ),
        *(
            (f"a hash is null in {kind}", in_manifest(kind, put(files={"score.json": None})))
            for kind in ("scores",)
        ),
        ("a file above the store", in_manifest("scores", put(files={"../../../mine/thesis.txt": "0" * 64}))),
        ("a file of the system", in_manifest("scores", put(files={"/etc/passwd": "0" * 64}))),
    ]
    return [
        Attack(kind="B2", name=name, call=AGAIN, prepare=prepare, expected=refused("--force"))
        for name, prepare in again
    ]


def tables() -> list[Attack]:
    """`uvlp table` and `uvlp list tables` print nothing that is not as it was made."""

    def text(name: str, how: Callable[[Path], object]) -> Prepare:
        return lambda root: how(artifact(root, "tables") / name)

    def raised(path: Path) -> None:
        path.write_text(path.read_text(encoding="utf-8").replace("1", "9"), encoding="utf-8")

    def beside(content: bytes) -> Prepare:
        def prepare(root: Path) -> None:
            folder = root / "store" / "tables" / ("f" * 16)
            folder.mkdir()
            (folder / "manifest.json").write_bytes(content)
            (folder / "table.json").write_bytes(content)

        return prepare

    forms = {"table.md": "markdown", "table.tex": "latex", "table.csv": "csv", "table.json": "markdown"}
    found = [
        Attack(
            kind="B3",
            name=f"{file} is {way}, printed as {form}",
            call=(*SHOW, "--format", form),
            prepare=text(file, how),
            expected=refused("tables/", "--force"),
        )
        for file, form in forms.items()
        for way, how in {
            "edited": raised,
            "flipped": lambda path: flip(path, 0.5),
            "empty": lambda path: path.write_bytes(b""),
            "gone": lambda path: path.unlink(),
        }.items()
    ]
    found += [
        Attack(
            kind="D4",
            name=f"a table beside it is {damage}",
            call=("list", "tables", "--store", "store"),
            prepare=beside(content),
            expected=done(TABLE),
        )
        for damage, content in DAMAGES.items()
    ]
    found += [
        Attack(
            kind="D4",
            name=f"another table that is {damage} hides none",
            call=SHOW,
            prepare=beside(content),
            expected=right(),
        )
        for damage, content in DAMAGES.items()
        if damage in ("empty", "null", "list", "deep")
    ]
    return [
        *found,
        Attack(
            kind="B3",
            name="compared with another method after a score was edited",
            call=(*SHOW, "--against", "vlcp"),
            prepare=overwrite("scores", "score.json", b'{"best_pct": 100}'),
            expected=refused("score"),
        ),
        Attack(
            kind="B3",
            name="compared with another method after the scores are gone",
            call=(*SHOW, "--against", "vlcp"),
            prepare=lambda root: shutil.rmtree(root / "store" / "scores"),
            expected=refused("score"),
        ),
    ]


def memories() -> list[Attack]:
    """What is remembered of a dataset and of verified files: never believed into another table."""

    def dataset(root: Path) -> Path:
        return min((root / "store" / "datasets").glob("digits*.json"))

    def verified(root: Path) -> Path:
        return root / "store" / ".verified.json"

    def known(name: str, where: Callable[[Path], Path], how: Callable[[Path], object]) -> Attack:
        return Attack(
            kind="B5",
            name=name,
            call=AGAIN,
            prepare=lambda root: how(where(root)),
            expected=right(),
        )

    found = [
        known(
            f"dataset remembered with a flip at {share}/16",
            dataset,
            partial(flip, share=share / 16),
        )
        for share in range(17)
    ]
    found += [
        known(
            f"verified files remembered with a flip at {share}/8",
            verified,
            partial(flip, share=share / 8),
        )
        for share in range(9)
    ]
    for name, where in (("dataset", dataset), ("verified files", verified)):
        found += [
            known(
                f"{name} remembered as {damage}",
                where,
                partial(Path.write_bytes, data=content),
            )
            for damage, content in DAMAGES.items()
        ]
        found += [
            known(f"{name} remembered in a folder", where, steps(Path.unlink, Path.mkdir)),
            known(f"{name} remembered in a pipe", where, steps(Path.unlink, os.mkfifo)),
        ]

    def replaced(old: str, new: str) -> Callable[[Path], object]:
        return lambda path: path.write_text(
            re.sub(old, new, path.read_text(encoding="utf-8")), encoding="utf-8"
        )

    changes = {
        "a class renamed": replaced('"three"', '"four!"'),
        "classes smaller": replaced(r'"train": ?\d+', '"train": 1'),
        "another hash": replaced("[0-9a-f]{64}", "0" * 64),
    }
    return found + [
        known(f"dataset remembered with {name}", dataset, change) for name, change in changes.items()
    ]


ATTACKS = [*manifests(), *files(), *forgeries(), *tables(), *memories()]
