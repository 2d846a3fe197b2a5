"""The archives of a dataset of image files: an uncompressed tar file per split, in `datasets/` of a store.

They are named by the content of the dataset. Beside them lies what else its readers need (the manifest, where
each image lies in its archive and its hash, the captions), so that none looks into the dataset's own folders.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from uvlp.artifacts.dataset import SPLITS, Dataset, DatasetManifest
from uvlp.core.errors import UvlpError
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.leases import lease
from uvlp.core.files.writing import complete_file
from uvlp.core.hashing import read_checked, read_hashed, write_checked
from uvlp.core.prefetch import in_order
from uvlp.core.progress import Progress

FOLDER = "staged"
INDEX, CAPTIONS, LEASE = "index.json", "captions.json", "writing.lease"
BLOCK_BYTES = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK_BYTES)
"""The end of a tar file."""
NAME_LENGTH = 16


@runtime_checkable
class ImageFiles(Protocol):
    """What a dataset (`artifacts/dataset.py`) offers besides if each of its images is a file of its own."""

    def stored(self, split: str) -> Sequence[tuple[Path, str]]:
        """Path and hexadecimal SHA-256 of every file of ``files(split)``."""
        ...


class FromFiles(Dataset, ImageFiles, Protocol):
    """A dataset whose images are files."""


@dataclass(frozen=True, slots=True)
class Members:
    """The images of a split, in the order of the dataset.

    Attributes:
        names: in the dataset and in the archive, e.g. ``"train/cat/1.png"``.
        offsets, sizes: of their bytes in the archive.
        sha256: their 32-byte hashes, concatenated.
    """

    names: tuple[str, ...]
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Index:
    """What there is.

    Attributes:
        manifest: of the dataset.
        archives: bytes of the archive of each split.
    """

    manifest: DatasetManifest
    archives: Mapping[str, int]


def folder_of(cache: Path, content_hash: str) -> Path:
    """Return the folder of the archives of a dataset with this content."""
    return cache / FOLDER / content_hash[:NAME_LENGTH]


def archive_of(folder: Path, split: str) -> Path:
    """Return the path of the archive of a split."""
    return folder / f"{split}.tar"


def read_index(folder: Path) -> Index | None:
    """Return what there is; None if the archives are not written completely, or the file is damaged."""
    content = read_checked(folder / INDEX)
    try:
        return Index(DatasetManifest.from_values(content["manifest"]), content["archives"])
    except (KeyError, TypeError):
        return None


def read_members(folder: Path, split: str) -> Members:
    """Return where the images of a split lie in its archive.

    Raises:
        UvlpError: the file is damaged.
    """
    path = _members_file(folder, split)
    content = read_checked(path)
    if content is None:
        raise damaged(path)
    hashes = base64.b64decode(content["sha256"])
    return Members(tuple(content["names"]), tuple(content["offsets"]), tuple(content["sizes"]), hashes)


def read_captions(folder: Path) -> dict[str, str] | None:
    """Return the captions of the dataset itself, by name below `train/`; None if it has none.

    Raises:
        UvlpError: as the dataset raised it when the archives were written; the file is damaged.
    """
    content = read_checked(folder / CAPTIONS)
    if content is None:
        raise damaged(folder / CAPTIONS)
    if content["error"]:
        raise UvlpError(**content["error"])
    texts: dict[str, str] | None = content["texts"]
    return texts


def damaged(path: Path) -> UvlpError:
    """Return the error for an archive, or a file beside it, that is not as it was written."""
    fix = f"delete {path.parent} and re-run the command, which writes it again"
    return UvlpError("an archive of images is damaged or incomplete", got=str(path), fix=fix)


def is_written(cache: Path, content_hash: str) -> bool:
    """Return whether the archives of a dataset with this content are complete."""
    folder = folder_of(cache, content_hash)
    index = read_index(folder)
    return index is not None and all(_has(folder, split, index.archives[split]) for split in SPLITS)


def stored_bytes(dataset: ImageFiles, split: str) -> int:
    """Return the bytes of the image files of a split in an archive."""
    return sum(_padded(os.stat(path).st_size) + BLOCK_BYTES for path, _ in dataset.stored(split)) + len(END)


def write(dataset: FromFiles, cache: Path, progress: Progress) -> None:
    """Write the archives of a dataset, unless they are there; a complete one is kept after an interruption.

    Raises:
        UvlpError: a file has changed since it was hashed, or the disk is too small.
        OSError: the archives cannot be written.
    """
    folder = folder_of(cache, dataset.manifest.content_hash)
    folder.mkdir(parents=True, exist_ok=True)
    waits = "another uvlp process writes these archives; waiting"
    with lease.acquire(folder / LEASE, lambda holder: progress.log(waits)):
        if is_written(cache, dataset.manifest.content_hash):
            return
        _remove_unfinished(folder)
        sizes = {split: _write_split(dataset, folder, split, progress) for split in SPLITS}
        write_checked(folder / CAPTIONS, _captions(dataset), flushed=True)
        content = {"manifest": asdict(dataset.manifest), "archives": sizes}
        write_checked(folder / INDEX, content, flushed=True)


def _remove_unfinished(folder: Path) -> None:
    """Delete what a writer that was killed left; nobody else writes here."""
    for path in folder.glob(".*.tar.*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _write_split(dataset: FromFiles, folder: Path, split: str, progress: Progress) -> int:
    """Write the archive of a split and where its images lie; return its bytes."""
    known = read_checked(_members_file(folder, split))
    if known is not None and _has(folder, split, known["bytes"]):
        return int(known["bytes"])
    files, target = dataset.stored(split), archive_of(folder, split)
    fix = "free some space or choose another folder with --store, or turn staging off"
    check_space(f"an archive of the images of {split}", folder, stored_bytes(dataset, split), fix)
    contents = in_order(lambda file: read_hashed(*file), files)
    names = dataset.files(split)
    tracked = progress.track(contents, f"archive {split}, files", total=len(files))
    with complete_file(target) as unfinished:
        places = _write_tar(unfinished, zip(names, tracked, strict=True))
    size = target.stat().st_size
    content = {
        "bytes": size,
        "names": names,
        "offsets": [offset for offset, _ in places],
        "sizes": [length for _, length in places],
        "sha256": base64.b64encode(b"".join(bytes.fromhex(sha256) for _, sha256 in files)).decode(),
    }
    write_checked(_members_file(folder, split), content, flushed=True)
    return size


def _write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """Write files by name; return offset and size of each. `TarFile` would keep an object for each."""
    places = []
    with path.open("wb") as archive:
        for name, content in files:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
            places.append((archive.tell(), len(content)))
            archive.write(content.ljust(_padded(len(content)), b"\0"))
        archive.write(END)
    return places


def _captions(dataset: Dataset) -> dict[str, Any]:
    """Return the captions, or the error that is due when they are needed."""
    try:
        texts = dataset.captions()
    except UvlpError as error:
        got = None if error.got is None else str(error.got)
        described = {"what": error.what, "got": got, "allowed": error.allowed, "fix": error.fix}
        return {"texts": None, "error": described}
    return {"texts": None if texts is None else dict(texts), "error": None}


def _members_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.json"


def _has(folder: Path, split: str, size: int) -> bool:
    path = archive_of(folder, split)
    return path.is_file() and path.stat().st_size == size


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
