"""Check whether a published dataset has its published image size, from the first image of every class.

Original ImageNet images have shorter sides of many lengths; if nearly all are equal, the images were resized.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from uvlp.artifacts.dataset import SPLITS
from uvlp.core.hashing import read_records, write_checked
from uvlp.datasets.files.class_lists import FOLDER, numbered_classes, wordnet_classes
from uvlp.datasets.files.folder_scan import Listing
from uvlp.datasets.files.images.decoding import FORMATS

SQUARES_PX = {"cifar10": 32, "cifar100": 32, "tinyimagenet": 64}
"""Side of datasets with square images, by class list; all others are full-size ImageNet images."""
VERSIONS = {name: {side: f"{name}2-{side}" for side in (160, 320)} for name in ("imagenette", "imagewoof")}
"""fast.ai's smaller versions, by shorter side."""
NATURAL_PX = frozenset((332, 333, 334, 335, 374, 375, 376, 500))
"""The most common sides in ImageNet itself: those of 500 x 333, 500 x 375 and 500 x 500."""
NOT_FULL = ", not the full-size set of the papers"
MOST, FEWEST, SMALL_PX = 0.8, 3, 200


def size_notes(root: Path, listing: Listing, stem: str, cache: Path, content_hash: str) -> tuple[str, ...]:
    """Notes on an unexpected image size, one for both splits or one per split.

    Args:
        root: of the listing.
        listing: the images.
        stem: name of the dataset's class list.
        cache: folder where the notes are cached, so that the next call opens no image.
        content_hash: of the images.
    """
    path = cache / f"sizes-{content_hash[:16]}.json"
    notes = read_records(path, len(SPLITS)).get(content_hash)
    if notes is None or not all(isinstance(note, str) for note in notes):
        notes = [_note(_first_sizes(root, listing, split), stem) for split in SPLITS]
        with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
            write_checked(path, {content_hash: notes})
    if len(set(notes)) == 1:
        return (notes[0],) if notes[0] else ()
    return tuple(f"{split}/: {note}" for split, note in zip(SPLITS, notes, strict=True) if note)


def published_list(ids: Sequence[str]) -> str:
    """The class list with exactly these ids; "" if there is none."""
    for path in sorted(FOLDER.glob("*.tsv")):
        # Parsing all lists would take longer than the rest of a cached call.
        if "_" in path.stem or path.read_bytes().count(b"\n") != len(ids):
            continue
        read = numbered_classes if path.stem in ("cifar10", "cifar100") else wordnet_classes
        if {entry.id for entry in read(path.stem)} == set(ids):
            return path.stem
    return ""


def _first_sizes(root: Path, listing: Listing, split: str) -> list[tuple[int, int]]:
    """Width and height of the first image of each class; images with unreadable headers are omitted."""
    firsts = (root / listing.source(names[0]) for names in listing.files[split] if names)
    return list(filter(None, map(header_px, firsts)))


def header_px(path: Path) -> tuple[int, int] | None:
    """Width and height; None if it is not an image, which is reported when its pixels are read."""
    from PIL import Image

    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            return image.size
    except Exception:  # decoders raise nearly anything on damaged data
        return None


def _note(sizes: Sequence[tuple[int, int]], stem: str) -> str:
    if stem in SQUARES_PX:
        side = SQUARES_PX[stem]
        differing = [size for size in sizes if size != (side, side)]
        if not differing:
            return ""
        width_px, height_px = Counter(differing).most_common(1)[0][0]
        return (
            f"the first images are {width_px} x {height_px} px, those of the published set "
            f"{side} x {side} px: this is a different size of it"
        )
    if len(sizes) < FEWEST:
        return ""
    shorter, longer = [min(size) for size in sizes], [max(size) for size in sizes]
    if side := _common(shorter):
        version = VERSIONS.get(stem, {}).get(side)
        what = f"this is {version}" if version else "these images were resized"
        return (
            f"the first images have a shorter side of {side} px: {what}, not the full-size set of the papers"
        )
    if side := _common(longer):
        what = f"a longer side of {side} px"
    elif max(shorter) < SMALL_PX:
        what = f"shorter sides of at most {max(shorter)} px"
    else:
        return ""
    return f"the first images have {what}: these images were resized{NOT_FULL}"


def _common(sides: Iterable[int]) -> int:
    """The side that nearly all images share up to a pixel; 0 if none, or if it is common in ImageNet."""
    counts = Counter(sides)
    side = counts.most_common(1)[0][0]
    count = sum(counts[side + by] for by in (-1, 0, 1))
    return side if count >= MOST * counts.total() and side not in NATURAL_PX else 0
