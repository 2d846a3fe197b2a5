"""Captions imported for a dataset: one file per dataset in the store, beside the artifacts.

``<store>/imported/<dataset>.jsonl`` has rows ``{"file_name": "class/image.JPEG", "text"}`` in the
dataset's order, names relative to `train/`. It takes precedence over a metadata.jsonl of the dataset, whose
folder may be read-only, and its SHA-256 is part of the key of the captions made from it. The hash is also
stored beside it, so that a corrupted file is not mistaken for another import.
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
from uvlp.core.files.writing import write_utf8
from uvlp.core.hashing import digest, file_sha256, read_checked, write_checked

FOLDER = "imported"


def file_path(store: Path, spec: DatasetSpec, manifest: DatasetManifest) -> Path:
    """The path of a dataset's imported captions.

    Args:
        store: root of the store.
        spec: of the opened dataset; its path distinguishes several ``folder:PATH``, and the manifest's
            address several of the hub.
        manifest: of the dataset, with its variant.
    """
    address = manifest.argument if spec.argument else ""
    path = address if spec.path is None else os.path.realpath(spec.path)
    parts = [spec.name, manifest.variant, digest(path)[:12] if path else ""]
    return store / FOLDER / ("-".join(filter(None, parts)) + ".jsonl")


def find(store: Path, spec: DatasetSpec, manifest: DatasetManifest) -> Path | None:
    """The file of a dataset's imported captions; None if there is none."""
    path = file_path(store, spec, manifest)
    return path if path.is_file() else None


def sha256(path: Path) -> str:
    """Hash of imported captions, compared with the stored one; earlier versions stored none.

    Raises:
        UvlpError: the file has changed since the import.
        OSError: it cannot be read.
    """
    actual, known = file_sha256(path), read_checked(_hashes(path))
    if isinstance(known, list) and actual not in known:
        raise UvlpError(
            "the imported captions have changed since the import",
            got=str(path),
            fix=f"delete it and import again; to use the changed file, delete {_hashes(path).name} beside it",
        )
    return actual


def _hashes(path: Path) -> Path:
    """The file with the accepted hashes: of the imported captions, and of those that they replace."""
    return path.with_suffix(".sha256")


def write(path: Path, texts: Mapping[str, str]) -> None:
    """Store the captions that are not empty.

    Args:
        path: from :func:`file_path`.
        texts: caption by name below `train/`.

    Raises:
        UvlpError: the store cannot be written, or the file to be replaced has changed since its import.
    """
    lines = [
        json.dumps({"file_name": name, "text": text}, ensure_ascii=False) + "\n"
        for name, text in texts.items()
        if text.strip()
    ]
    text = "".join(lines)
    hashes = [hashlib.sha256(text.encode()).hexdigest()]
    with explain_store_errors(path.parent.parent):
        if path.is_file():  # after a kill between the two writes, the old file is still accepted
            hashes.append(sha256(path))
        write_checked(_hashes(path), hashes, flushed=True)
        write_utf8(path, text)


def read(path: Path, images: Sequence[str], sha256: str) -> dict[str, str]:
    """Read captions by name below `train/`.

    Args:
        path: from :func:`find`.
        images: the dataset's images, names below `train/`.
        sha256: of the file when the task was planned.

    Raises:
        UvlpError: the file has changed, or contains captions for images that no longer exist.
    """
    return metadata_jsonl.resolve(metadata_jsonl.parse(path, sha256).texts, images, str(path))
