"""A dataset made of image files: `train/<class>/` and `val/<class>/`, with captions if it has any."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset_manifest import SPLITS, ClassInfo, DatasetManifest, recall, remember
from uvlp.blocks import image_files
from uvlp.blocks.folder_scan import Listing, scan
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import HashCache, digest
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few

if TYPE_CHECKING:
    import numpy

NAMES = "classes.tsv"


class ImageFolder:
    """The dataset below ``root`` (see `artifacts/dataset_manifest.py` for its interface)."""

    def __init__(self, root: Path, listing: Listing, manifest: DatasetManifest) -> None:
        self._root, self._listing, self.manifest = root, listing, manifest

    def files(self, split: str) -> tuple[str, ...]:
        """Names below the root, e.g. ``train/cat/1.png``."""
        return tuple(itertools.chain.from_iterable(self._listing.files[split]))

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every file."""
        return tuple(label for label, names in enumerate(self._listing.files[split]) for _ in names)

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3], squashed to a square."""
        return image_files.load_squashed(self._paths(split, indices), size_px)

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [H, W, 3] each, at the size they are stored in."""
        return image_files.load_originals(self._paths(split, indices))

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`, or None without a metadata.jsonl."""
        path = find_captions(self._root)
        return read_captions(self._root, path, self._listing)[0] if path else None

    def _paths(self, split: str, indices: Sequence[int]) -> list[Path]:
        names = self.files(split)
        return [self._root / names[index] for index in indices]


def open_image_folder(root: Path, argument: str, cache: Path, progress: Progress) -> ImageFolder:
    """Open ``root``; every file is hashed and decoded once, after that only its size and times are read.

    Args:
        argument: what the user called it, for the manifest.
        cache: folder for what was learnt.

    Raises:
        UvlpError: layout, an image, the class names or the captions are wrong.
    """
    root = root.resolve()
    listing = scan(root)
    names = class_names(root, listing.classes)
    captions = find_captions(root)
    content_hash = _content_hash(root, listing, names, captions, cache, progress)
    remembered = cache / f"folder-{content_hash[:16]}.json"
    manifest = recall(remembered, content_hash)
    if manifest is None:
        manifest = _make_manifest(root, listing, names, captions, content_hash, progress)
        remember(remembered, manifest)
    notes = manifest.notes
    if listing.ignored:
        notes = (*notes, f"{listing.ignored} files without an image extension are not used")
    return ImageFolder(root, listing, replace(manifest, argument=argument, notes=notes))


def class_names(root: Path, ids: Sequence[str]) -> dict[str, str]:
    """Readable name by class id: of `classes.tsv` if there is one, else the id with blanks for ``_``.

    Raises:
        UvlpError: a line is broken, names no class folder or one twice, or a class is not named.
    """
    path = root / NAMES
    if not os.path.exists(path):
        return {name: name.replace("_", " ") for name in ids}
    named: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        identity, _, name = line.partition("\t")
        if not identity or not name.strip():
            raise UvlpError(f"{path}, line {number}", got=line, allowed="id<TAB>name")
        if identity in named or identity not in ids:
            problem = "class named twice" if identity in named else "no such class folder"
            raise UvlpError(f"{path}, line {number}: {problem}", got=identity, allowed=first_few(ids))
        named[identity] = name.strip()
    lacking = [name for name in ids if name not in named]
    if lacking:
        raise UvlpError(f"{path} does not name every class", got=f"no line for {first_few(lacking)}")
    return {name: named[name] for name in ids}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UvlpError(f"cannot read {path}", got=str(error), allowed="UTF-8 lines id<TAB>name") from error


def find_captions(root: Path) -> Path | None:
    """The metadata.jsonl in ``root`` or in its `train/`, None if there is neither.

    Raises:
        UvlpError: there are both.
    """
    found = [
        path for path in (root / metadata_jsonl.FILE, root / "train" / metadata_jsonl.FILE) if path.exists()
    ]
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


def _content_hash(
    root: Path,
    listing: Listing,
    names: Mapping[str, str],
    captions: Path | None,
    cache: Path,
    progress: Progress,
) -> str:
    files = [name for split in SPLITS for group in listing.files[split] for name in group]
    if captions:
        files.append(captions.relative_to(root).as_posix())
    hashes = hash_files(root, files, cache, progress)
    pairs = [[name, sha256] for name, sha256 in zip(files, hashes, strict=True)]
    return digest({"files": pairs, "classes": list(names.items()), "reader": image_files.REVISION})


def hash_files(root: Path, files: Sequence[str], cache: Path, progress: Progress) -> list[str]:
    """SHA-256 of files below ``root``; those that ``cache`` knows as they now stand are not read.

    Raises:
        UvlpError: a file cannot be read.
    """
    hashes = HashCache(cache / f"hashes-{digest(str(root))[:16]}.json")
    try:
        return [hashes.sha256(root / name) for name in progress.track(files, "hash files")]
    except OSError as error:
        raise UvlpError(f"cannot read {error.filename}", got=error.strerror) from error
    finally:
        # What cannot be remembered costs time only.
        with contextlib.suppress(OSError):
            hashes.save()


def _make_manifest(
    root: Path,
    listing: Listing,
    names: Mapping[str, str],
    captions: Path | None,
    content_hash: str,
    progress: Progress,
) -> DatasetManifest:
    """Check captions and decode every image once; what is found holds as long as the hash does."""
    duplicates = read_captions(root, captions, listing)[1] if captions else 0
    note = f"{metadata_jsonl.FILE}: {duplicates} rows are overruled by a later row for the same image"
    groups = zip(names.items(), listing.files["train"], listing.files["val"], strict=True)
    return DatasetManifest(
        name="folder",
        argument="",
        variant="",
        classes=tuple(
            ClassInfo(id=identity, name=name, index=index, train=len(train), val=len(val))
            for index, ((identity, name), train, val) in enumerate(groups)
        ),
        content_hash=content_hash,
        image_px=_common_side_px(root, listing, progress),
        source="a folder of image files",
        notes=(note,) if duplicates else (),
    )


def _common_side_px(root: Path, listing: Listing, progress: Progress) -> int:
    """Decode every image; the side of all if they are squares of one size, else 0."""
    paths = [root / name for split in SPLITS for group in listing.files[split] for name in group]
    sizes = image_files.in_threads(lambda path: image_files.load_rgb(path).size, paths)
    seen = set(progress.track(sizes, "check images", total=len(paths)))
    width_px, height_px = next(iter(seen))
    return width_px if len(seen) == 1 and width_px == height_px else 0
