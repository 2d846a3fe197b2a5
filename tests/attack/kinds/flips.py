"""One flipped bit in every file of a finished store: the file is reported, or nothing printed depends on it.

Printing a table reads it and its scores; the other artifacts are verified when something is computed from
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.attack.ground import NANO, RDED, Attack, Expected, Prepare, refused, right
from tests.attack.kinds.stores import AGAIN, SHOW, artifact
from tests.flipping import flip

Files = Mapping[str, tuple[str, ...]]
OF_NANO: Files = {
    "captions": ("metadata.jsonl", "prompts.json"),
    "distilled": ("contact_sheet.png", "train/3/00001.png", "train/metadata.jsonl"),
    "features": ("deviation.npy", "image.npy", "mean.npy"),
    "pixels": ("labels.npy", "set.json", "validation.npy"),
    "prototypes": ("latents.npy", "notes.json", "prototypes.jsonl"),
    "scores": ("score.json",),
    "tables": ("table.csv", "table.json", "table.md", "table.tex"),
    "weights": (
        *("open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json"),
        *("text_encoder/model.safetensors", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"),
        *("unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json"),
        *("vae/diffusion_pytorch_model.safetensors", "config.json", "diffusion_pytorch_model.safetensors"),
    ),
}
"""Every file of a store of `NANO`, one image for all, by the folder of its kind."""
OF_RDED: Files = {
    **{kind: OF_NANO[kind] for kind in ("distilled", "pixels", "scores", "tables")},
    "teachers": ("model.safetensors", "teacher.json"),
}
PRINTED = ("scores", "tables")


def _find(store: Path, kind: str, name: str) -> Path:
    """The first file of a kind's artifacts with this name below its own folder."""
    return min(path for folder in (store / kind).iterdir() if (path := folder / name).exists())


def _flipped(store: str, kind: str, name: str) -> Prepare:
    return lambda root: flip(_find(root / store, kind, name))


def _attacks(store: str, files: Files, call: tuple[str, ...], what: str, shows: bool = False) -> list[Attack]:
    """One for each file; a call that only ``shows`` a table reads no other artifacts than `PRINTED`."""

    def expected(kind: str, name: str) -> Expected:
        return refused(f"{kind}/", name, "--force") if kind in PRINTED or not shows else right()

    return [
        Attack(
            kind="flipped",
            name=f"{what}, {kind}/{name} flipped",
            call=call,
            prepare=_flipped(store, kind, name),
            expected=expected(kind, name),
            needs=(store, "out") if store == "scored" else (store,),
        )
        for kind, names in files.items()
        for name in names
    ]


def _in_manifest(kind: str, begin: str) -> Prepare:
    """Flip the lowest bit of the character behind the pattern ``begin`` in a manifest."""

    def prepare(root: Path) -> None:
        path = artifact(root, kind) / "manifest.json"
        content = bytearray(path.read_bytes())
        found = re.search(begin.encode(), content)
        assert found is not None, f"{path}: no {begin}"
        content[found.end()] ^= 1
        path.write_bytes(content)

    return prepare


PLACES = {
    "key": r'"key": "\w',
    "hash": r'"files": \{\s+"[^"]+": "\w',
    "file name": r'"files": \{\s+"\w',
    "dataset": r'"dataset": "\w',
    "stage": r'"stage": "\w',
    "machine": r'"host": "',
}
"""Parts of a manifest and their first characters."""
BESIDE = ("machine",)
"""Fields that are not printed and affect nothing."""


def manifests() -> list[Attack]:
    """A flip in each part of each kind's manifest."""
    return [
        Attack(
            kind="flipped",
            name=f"second call, {part} in the manifest of {kind} flipped",
            call=AGAIN,
            prepare=_in_manifest(kind, begin),
            expected=right() if part in BESIDE else refused(f"{kind}/", "--force"),
        )
        for kind in OF_NANO
        for part, begin in PLACES.items()
    ]


ATTACKS = [
    *_attacks("store", OF_NANO, AGAIN, "second call"),
    *_attacks("store", OF_NANO, SHOW, "uvlp table", shows=True),
    *_attacks("store", OF_NANO, (*NANO, "--rerun", "1", "--store", "store"), "reproduce --rerun"),
    *_attacks("scored", OF_RDED, (*RDED, "--store", "scored"), "second evaluate"),
    *_attacks("scored", OF_RDED, (*RDED, "--rerun", "2", "--store", "scored"), "evaluate --rerun"),
    *manifests(),
]
