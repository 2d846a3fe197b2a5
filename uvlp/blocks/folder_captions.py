"""The metadata.jsonl of an image folder: where it lies, and which image each of its rows belongs to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset_manifest import SPLITS
from uvlp.blocks.caption_lookup import find_caption
from uvlp.blocks.folder_scan import Listing
from uvlp.core.errors import UvlpError


def find_captions(root: Path) -> Path | None:
    """The metadata.jsonl in ``root`` or in its `train/`, None if there is neither.

    Raises:
        UvlpError: there are both.
    """
    places = (root / metadata_jsonl.FILE, root / "train" / metadata_jsonl.FILE)
    # A link to nothing is there too, and is refused where it is read: its captions are missed by somebody.
    found = [path for path in places if os.path.lexists(path)]
    if len(found) > 1:
        raise UvlpError("two files with captions", got=", ".join(map(str, found)), do="keep one of them")
    return found[0] if found else None


def read_captions(root: Path, path: Path, listing: Listing) -> tuple[dict[str, str], int]:
    """Caption by name below `train/`, and the number of rows that a later row overrules.

    Raises:
        UvlpError: a broken line, or a caption for an image that does not exist.
    """
    metadata = metadata_jsonl.parse(path)
    prefix = "" if path.parent == root else "train/"
    names = [name for split in SPLITS for names in listing.files[split] for name in names]
    relative = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    resolved = metadata_jsonl.resolve(metadata.texts, relative, str(path))
    found = {prefix + name: text for name, text in resolved.items()}
    texts = {name[len("train/") :]: text for name, text in found.items() if name.startswith("train/")}
    return texts, metadata.duplicates


def look_up_captions(root: Path, path: Path, names: Sequence[str]) -> dict[str, str]:
    """Caption by name below `train/` for a published file, whose rows may be for other images too.

    Rows are found as the published code finds them (`caption_lookup`), by their bare names too.

    Args:
        root: folder of the dataset.
        path: the metadata.jsonl, in ``root`` or in its `train/`.
        names: training images, e.g. ``train/n01440764/n01440764_18.JPEG``.

    Raises:
        UvlpError: the file cannot be read, or a line is broken.
    """
    prefix = "train/" if path.parent == root else ""
    texts = {name.removeprefix(prefix): text for name, text in metadata_jsonl.parse(path).texts.items()}
    found = {}
    for name in names:
        relative = name.removeprefix("train/")
        text = find_caption(texts, relative.split("/")[0], relative.split("/")[-1], bare_names=True)
        if text:
            found[relative] = text
    return found
