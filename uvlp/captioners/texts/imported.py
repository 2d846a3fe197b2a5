"""Captions that were imported for a dataset: one file per dataset in the store, beside its artifacts.

``<store>/imported/<dataset>.jsonl`` holds rows ``{"file_name": "class/image.JPEG", "text"}`` in the
dataset's order, names relative to `train/`. It comes before a metadata.jsonl of the dataset's own, whose
folder may be read-only, and its SHA-256 is part of the key of the captions that are made from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.artifacts.store import said
from uvlp.core.files.places import expanded
from uvlp.core.hashing import digest, write_atomically

FOLDER = "imported"


def place(store: Path, spec: DatasetSpec, manifest: DatasetManifest) -> Path:
    """Where the imported captions of a dataset are or will be.

    Args:
        store: root of the store.
        spec: the dataset as it was opened; the path of ``folder:PATH`` tells several apart.
        manifest: its manifest, which knows the variant.
    """
    path = os.path.realpath(expanded(spec.argument)) if spec.argument else ""
    parts = [spec.name, manifest.variant, digest(path)[:12] if path else ""]
    return store / FOLDER / ("-".join(filter(None, parts)) + ".jsonl")


def find(store: Path, spec: DatasetSpec, manifest: DatasetManifest) -> Path | None:
    """The imported captions of a dataset, None if there are none."""
    path = place(store, spec, manifest)
    return path if path.is_file() else None


def write(path: Path, texts: Mapping[str, str]) -> None:
    """Keep the captions that are not empty.

    Args:
        path: as :func:`place` gave it.
        texts: caption by name below `train/`.

    Raises:
        UvlpError: the store cannot be written.
    """
    lines = [
        json.dumps({"file_name": name, "text": text}, ensure_ascii=False) + "\n"
        for name, text in texts.items()
        if text.strip()
    ]
    with said(path.parent.parent):
        write_atomically(path, "".join(lines))


def read(path: Path, images: Sequence[str], sha256: str) -> dict[str, str]:
    """Caption by name below `train/`.

    Args:
        path: as :func:`find` gave it.
        images: the dataset's images, names below `train/`.
        sha256: of the file when its captions were asked for.

    Raises:
        UvlpError: the file changed since, or holds captions for images that are no longer there.
    """
    return metadata_jsonl.resolve(metadata_jsonl.parse(path, sha256).texts, images, str(path))
