"""Captions that were imported for a dataset: one file per dataset in the store, beside its artifacts.

``<store>/imported/<dataset>.jsonl`` holds rows ``{"file_name": "class/image.JPEG", "text"}`` in the
dataset's order, names relative to `train/`. It comes before a metadata.jsonl of the dataset's own, whose
folder may be read-only, and its SHA-256 is part of the key of the captions that are made from it. The same
hash lies beside it, so that a byte that changes by itself is not taken for another import.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.artifacts.store import explain_store_errors
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.core.files.writing import write_utf8
from uvlp.core.hashing import digest, file_sha256, read_checked, write_checked

FOLDER = "imported"


def place(store: Path, spec: DatasetSpec, manifest: DatasetManifest) -> Path:
    """Where the imported captions of a dataset are or will be.

    Args:
        store: root of the store.
        spec: the dataset as it was opened; the path of ``folder:PATH`` tells several apart.
        manifest: its manifest, which knows the variant.
    """
    path = os.path.realpath(expand_home(spec.argument)) if spec.argument else ""
    parts = [spec.name, manifest.variant, digest(path)[:12] if path else ""]
    return store / FOLDER / ("-".join(filter(None, parts)) + ".jsonl")


def find(store: Path, spec: DatasetSpec, manifest: DatasetManifest) -> Path | None:
    """The imported captions of a dataset, None if there are none."""
    path = place(store, spec, manifest)
    return path if path.is_file() else None


def sha256(path: Path) -> str:
    """Hash of imported captions, which must be as they were imported; earlier versions kept no hash of them.

    Raises:
        UvlpError: the file has changed since.
        OSError: it cannot be read.
    """
    found, known = file_sha256(path), read_checked(_hashes(path))
    if isinstance(known, list) and found not in known:
        raise UvlpError(
            "the imported captions are not as they were imported",
            got=str(path),
            fix=f"delete it and import again; to use it as it is, delete {_hashes(path).name} beside it",
        )
    return found


def _hashes(path: Path) -> Path:
    """Where the hashes lie that the imported captions may have: of these, and of those that they replace."""
    return path.with_suffix(".sha256")


def write(path: Path, texts: Mapping[str, str]) -> None:
    """Keep the captions that are not empty.

    Args:
        path: as :func:`place` gave it.
        texts: caption by name below `train/`.

    Raises:
        UvlpError: the store cannot be written, or what is to be replaced is not as it was imported.
    """
    lines = [
        json.dumps({"file_name": name, "text": text}, ensure_ascii=False) + "\n"
        for name, text in texts.items()
        if text.strip()
    ]
    text = "".join(lines)
    hashes = [hashlib.sha256(text.encode()).hexdigest()]
    with explain_store_errors(path.parent.parent):
        if path.is_file():  # a kill between the two files leaves one that is known
            hashes.append(sha256(path))
        write_checked(_hashes(path), hashes, flushed=True)
        write_utf8(path, text)


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
