"""Find and read the captions in a dataset's folder, and match them to its images.

Tables are called `metadata` or `captions` and are in the top folder, in `train/` or in a class folder; file
names in them are relative to the table (methods.md A.2, B.5). The caption of an image ``1.png`` may also be
in ``1.txt``, ``1.caption`` or ``1.json`` beside it. Two different captions for one image are an error.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset import SPLITS
from uvlp.captioners.texts import formats
from uvlp.captioners.texts.formats import Caption
from uvlp.captioners.texts.sidecars import SIDECARS, read_sidecar
from uvlp.captioners.texts.tables import TABLES, UNREAD
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import changed_during_read
from uvlp.core.wording import first_few
from uvlp.datasets.files.folder_hashes import HASH_BYTES, Hashed, sha256_of
from uvlp.datasets.files.folder_scan import Listing, visible_entries

PREFIX = "train/"
UNREAD_SUFFIX = ".parquet"
SUFFIXES = (".jsonl", ".csv", ".tsv", ".json", ".txt", UNREAD_SUFFIX)
MOST_FOLDERS, MOST_FILES = 20, 50
MOST_READ_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class CaptionFiles:
    """Caption files, as paths below the dataset's folder.

    Attributes:
        tables: files with one row per caption.
        sidecars: the files beside each image, by the image's name in the dataset.
    """

    tables: tuple[str, ...] = ()
    sidecars: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tables or self.sidecars)

    def beside_images(self) -> int:
        """The number of caption files in class folders."""
        return sum(name.count("/") > 1 for name in self.tables) + sum(map(len, self.sidecars.values()))

    def groups(self) -> dict[str, dict[str, str]]:
        """Groups of files that are hashed together: each table, and the sidecars of each folder."""
        groups = {name: {name: name} for name in self.tables}
        for name in (name for names in self.sidecars.values() for name in names):
            groups.setdefault(f"captions in {PurePosixPath(name).parent}", {})[name] = name
        return groups


@dataclass(frozen=True, slots=True)
class FolderCaptions:
    """Captions of training images.

    Attributes:
        texts: by name below `train/`.
        notes: lines to show to the user.
    """

    texts: Mapping[str, str]
    notes: tuple[str, ...]


def find_captions(root: Path, listing: Listing | None = None) -> CaptionFiles:
    """Find the caption files below ``root``.

    Args:
        listing: the images; None if the dataset is not a folder of images.

    Raises:
        UvlpError: a caption file has an unsupported format.
    """
    files = _by_folder(listing.others) if listing is not None else {}
    files |= {folder: _tables_in(root / folder) for folder in ("", "train")}
    images = _images(listing, files) if listing is not None else {}
    tables: list[str] = []
    sidecars: dict[str, tuple[str, ...]] = {}
    for folder in sorted(files):
        names = files[folder]
        _refuse_unread(root / folder, names)
        in_folder = sorted(name for name in names if name.lower() in TABLES)
        in_folder.sort(key=lambda name: TABLES.index(name.lower()))
        tables += [os.path.join(folder, name) for name in in_folder]
        normalised = {_normalise(name): name for name in names}
        for file, image in images.get(folder, {}).items():
            beside = [normalised[name] for name in _sidecar_names(nfc(file)) if name in normalised]
            if beside:
                sidecars[image] = tuple(f"{folder}/{name}" for name in beside)
    return CaptionFiles(tuple(tables), sidecars)


def caption_hashes(root: Path, files: CaptionFiles, known: Mapping[str, Hashed]) -> dict[str, str]:
    """SHA-256 of every caption file, by its path below ``root``.

    Args:
        root: of the dataset.
        files: the caption files that exist now.
        known: the groups of files as hashed for the dataset's key.

    Raises:
        UvlpError: the files are not the ones that were hashed.
    """
    hashes = {}
    for group, names in files.groups().items():
        if group not in known or len(known[group].files) != HASH_BYTES * len(names):
            raise changed_during_read(root / next(iter(names.values())))
        for index, name in enumerate(names.values()):
            hashes[name] = sha256_of(known[group].files, index)
    return hashes


def _by_folder(paths: Iterable[str]) -> dict[str, set[str]]:
    """File names by folder, for the training class folders."""
    names: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder.startswith(PREFIX):
            names.setdefault(folder, set()).add(name)
    return names


def _images(listing: Listing, folders: Container[str]) -> dict[str, dict[str, str]]:
    """Training images in ``folders``: by folder, the name in the dataset by file name on disk."""
    images: dict[str, dict[str, str]] = {}
    for name in (name for names in listing.files["train"] for name in names):
        folder, _, file = listing.source(name).rpartition("/")
        if folder in folders:
            images.setdefault(folder, {})[file] = name
    return images


def _normalise(name: str) -> str:
    """A file name in NFC with a lower-case suffix."""
    stem, dot, suffix = nfc(name).rpartition(".")
    return stem + dot + suffix.lower()


def _tables_in(folder: Path) -> set[str]:
    """Names of the tables in a folder; broken links are included, and rejected when they are read."""
    if not folder.is_dir():
        return set()
    return {
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower() in (*TABLES, *UNREAD) and not entry.is_dir()
    }


def _refuse_unread(folder: Path, names: set[str]) -> None:
    for name in sorted(names):
        if name.lower() in UNREAD:
            target = folder / f"{name.partition('.')[0]}.csv"
            code = f"import pandas; pandas.read_parquet('{folder / name}').to_csv('{target}', index=False)"
            raise UvlpError(
                "Parquet files of captions are not supported",
                got=str(folder / name),
                allowed=first_few(TABLES),
                fix=f'convert it, then move the Parquet file elsewhere: python -c "{code}"',
            )


def _sidecar_names(file: str) -> list[str]:
    """Possible names of a caption beside an image: the image's name with or without its own suffix."""
    stem = file.rpartition(".")[0]
    return [name + suffix for suffix in SIDECARS for name in (stem, file)]


def unread_captions(root: Path, files: CaptionFiles) -> tuple[str, ...]:
    """A note on unused files, in the top folder or one level below, that seem to contain captions."""
    entries = _entries(root)
    folders = [entry for entry in entries if entry.is_dir() and entry.name not in SPLITS]
    for folder in folders[:MOST_FOLDERS]:
        entries += _entries(folder.path) if _is_small(folder.path) else []
    matches = (entry for entry in entries if entry.name.lower().endswith(SUFFIXES) and _has_captions(entry))
    names = [name for name in (os.path.relpath(e.path, root) for e in matches) if name not in files.tables]
    if not names:
        return ()
    return (
        f"{first_few(names)}: not read, but may contain captions; `uvlp captions import FILE` imports them",
    )


def _is_small(folder: str) -> bool:
    try:
        with os.scandir(folder) as inside:
            return len(list(itertools.islice(inside, MOST_FILES + 1))) <= MOST_FILES
    except OSError:
        return False


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of a folder; none if it cannot be read."""
    try:
        return visible_entries(folder)
    except UvlpError:
        return []


def _has_captions(entry: os.DirEntry[str]) -> bool:
    if not entry.is_file():
        return False
    if entry.name.lower().endswith(UNREAD_SUFFIX):
        return True
    if entry.stat().st_size > MOST_READ_BYTES:
        return not entry.name.lower().endswith(".txt")
    try:
        return any(True for _ in itertools.islice(formats.read_rows([Path(entry.path)]), 1))
    except UvlpError:
        return False


def read_captions(root: Path, files: CaptionFiles, listing: Listing) -> FolderCaptions:
    """Read the captions of a user's folder, where every row must belong to an existing image.

    Raises:
        UvlpError: a malformed row, a caption for an image that does not exist, or two that differ.
    """
    every = [name for split in SPLITS for names in listing.files[split] for name in names]
    captions = _Collector()
    for table in files.tables:
        prefix = nfc(table[: table.rfind("/") + 1])
        relative = [name.removeprefix(prefix) for name in every if name.startswith(prefix)]
        texts = captions.rows(table, formats.read_rows([root / table]))
        resolved = metadata_jsonl.resolve(texts, relative, str(root / table))
        captions.add(table, {prefix + name: text for name, text in resolved.items()})
    captions.read_sidecars(root, files)
    return captions.captions()


def look_up_captions(root: Path, files: CaptionFiles, names: Sequence[str]) -> FolderCaptions:
    """Read the captions of a published dataset, where rows for other images are allowed.

    Images are looked up as in the published code (:func:`find_caption`), also by their bare file names.

    Args:
        root: folder of the dataset.
        files: its caption files.
        names: training images, e.g. ``train/n01440764/n01440764_18.JPEG``.

    Raises:
        UvlpError: a file cannot be read, a row is malformed, or two captions of an image differ.
    """
    captions = _Collector()
    for table in files.tables:
        folder = nfc(table.rpartition("/")[0])
        within = f"{folder}/".removeprefix(PREFIX) if folder else ""
        rows = captions.rows(table, formats.read_rows([root / table]))
        texts = {within + name.removeprefix("" if folder else PREFIX): text for name, text in rows.items()}
        relative = (name.removeprefix(PREFIX) for name in names)
        by_image = {PREFIX + name: _look_up(texts, name) for name in relative if name.startswith(within)}
        captions.add(table, {name: text for name, text in by_image.items() if text})
    captions.read_sidecars(root, files)
    return captions.captions()


def _look_up(texts: Mapping[str, str], name: str) -> str:
    return find_caption(texts, name.split("/")[0], name.split("/")[-1], bare_names=True)


class _Collector:
    """Collects captions, each with the first file that contains it."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str, str]] = {}
        self._notes: list[str] = []
        self._further = 0

    def rows(self, table: str, captions: Iterable[Caption]) -> dict[str, str]:
        """Caption by name as written in the table; the last of several rows for a name is used."""
        rows = list(captions)
        texts = {caption.name: caption.text for caption in rows}
        if len(texts) < len(rows):
            overridden = len(rows) - len(texts)
            self._notes.append(f"{table}: {overridden} rows are overridden by a later row for the same image")
        self._further += sum(caption.further for caption in rows)
        return texts

    def add(self, file: str, texts: Mapping[str, str]) -> None:
        """Add captions by image; an empty one may be filled by another file.

        Raises:
            UvlpError: another file has a different caption for an image.
        """
        differing = []
        for image, text in texts.items():
            known, by = self._texts.get(image, ("", file))
            if known.strip() and text.strip() and known.strip() != text.strip():
                differing.append(f"{image}: {by} and {file}")
            elif not known.strip():
                self._texts[image] = (text, file)
        if differing:
            raise UvlpError(
                f"two captions differ for {len(differing)} images",
                got=first_few(differing),
                fix="keep one of the two files, or import the correct captions with `uvlp captions import`",
            )

    def read_sidecars(self, root: Path, files: CaptionFiles) -> None:
        """Add the captions beside the images; files without a caption are counted."""
        others = 0
        for image, names in files.sidecars.items():
            for name in names:
                text, further = read_sidecar(root / name)
                if text is None:
                    others += 1
                    continue
                self._further += further
                self.add(name, {image: text})
        if others:
            self._notes.append(f"{others} files beside images contain no caption and are not used")

    def captions(self) -> FolderCaptions:
        """The collected captions of training images."""
        if self._further:
            self._notes.append(f"{self._further} further captions are not used, only the first of each image")
        texts = {
            image.removeprefix(PREFIX): text
            for image, (text, _) in self._texts.items()
            if image.startswith(PREFIX)
        }
        return FolderCaptions(texts, tuple(self._notes))


def find_caption(
    captions: Mapping[str, str], class_id: str, file_name: str, *, bare_names: bool = False
) -> str:
    """The caption of an image, or the empty string.

    Keys are tried in this order, skipping empty captions: ``class/file``; the same with ``_<class>.JPEG``
    shortened to ``.JPEG``; and, for VLCP's files, the bare file name (E31).

    Args:
        captions: text by ``file_name`` in the metadata.
        class_id: class folder of the image.
        file_name: file name of the image, without folders.
        bare_names: also try the bare file name.
    """
    key = f"{class_id}/{file_name}"
    keys = [key, key.replace(f"_{class_id}.JPEG", ".JPEG")] + [file_name] * bare_names
    return next((captions[key] for key in keys if captions.get(key)), "")
