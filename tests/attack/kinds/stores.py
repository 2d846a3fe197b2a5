"""Attacks on a store: every kind of artifact, its manifest and one of its files (B2, D4)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attack.ground import NANO, TABLE, Attack, Prepare, refused, steps
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


def update_hashes(folder: Path) -> None:
    """Bring the hashes in an artifact's manifest up to date, as in a forgery."""

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


ATTACKS = [*manifests(), *files()]
