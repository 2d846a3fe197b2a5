"""The captions that lie in a dataset's folder: where they are looked for, and which image each belongs to.

Files with rows are called `metadata` or `captions` and lie at the top, in `train/` or in a class folder;
names in them are relative to where they lie (methods.md A.2, B.5). Beside an image ``1.png`` its caption may
lie as ``1.txt``, ``1.caption`` or ``1.json``. Two captions for one image that say different things stop the
run.
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
from uvlp.core.hashing import changed_meanwhile
from uvlp.core.wording import first_few
from uvlp.datasets.files.folder_hashes import HASH_BYTES, Hashed, sha256_of
from uvlp.datasets.files.folder_scan import Listing, visible_entries

PREFIX = "train/"
UNREAD_ENDING = ".parquet"
ENDINGS = (".jsonl", ".csv", ".tsv", ".json", ".txt", UNREAD_ENDING)
MOST_FOLDERS, MOST_FILES = 20, 50
LONGEST_LOOK_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class CaptionFiles:
    """Files with captions, as names below the dataset's folder.

    Attributes:
        tables: files with rows.
        sidecars: image as the dataset names it -> the files beside it.
    """

    tables: tuple[str, ...] = ()
    sidecars: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tables or self.sidecars)

    def beside_images(self) -> int:
        """Number of files in class folders."""
        return sum(name.count("/") > 1 for name in self.tables) + sum(map(len, self.sidecars.values()))

    def groups(self) -> dict[str, dict[str, str]]:
        """The files in groups that are hashed together: each table, and the sidecars of a folder."""
        found = {name: {name: name} for name in self.tables}
        for name in (name for names in self.sidecars.values() for name in names):
            found.setdefault(f"captions in {PurePosixPath(name).parent}", {})[name] = name
        return found


@dataclass(frozen=True, slots=True)
class FolderCaptions:
    """Captions of training images.

    Attributes:
        texts: by name below `train/`.
        notes: lines that the user should read.
    """

    texts: Mapping[str, str]
    notes: tuple[str, ...]


def find_captions(root: Path, listing: Listing | None = None) -> CaptionFiles:
    """The files with captions below ``root``.

    Args:
        listing: the images; None for a dataset that is no folder of images.

    Raises:
        UvlpError: captions lie there in a form that is not read.
    """
    lying = _by_folder(listing.others) if listing is not None else {}
    lying |= {folder: _tables_in(root / folder) for folder in ("", "train")}
    images = _images(listing, lying) if listing is not None else {}
    tables: list[str] = []
    sidecars: dict[str, tuple[str, ...]] = {}
    for folder in sorted(lying):
        names = lying[folder]
        _refuse_unread(root / folder, names)
        found = sorted(name for name in names if name.lower() in TABLES)
        tables += [
            os.path.join(folder, name) for name in sorted(found, key=lambda name: TABLES.index(name.lower()))
        ]
        in_form = {_in_form(name): name for name in names}
        for file, image in images.get(folder, {}).items():
            beside = [in_form[name] for name in _beside(nfc(file)) if name in in_form]
            if beside:
                sidecars[image] = tuple(f"{folder}/{name}" for name in beside)
    return CaptionFiles(tuple(tables), sidecars)


def caption_hashes(root: Path, files: CaptionFiles, known: Mapping[str, Hashed]) -> dict[str, str]:
    """SHA-256 of every file of captions, by its name below ``root``.

    Args:
        root: of the dataset.
        files: as they are found now.
        known: the groups of files as they were hashed for the dataset's key.

    Raises:
        UvlpError: there are other files than were hashed.
    """
    hashes = {}
    for group, names in files.groups().items():
        if group not in known or len(known[group].files) != HASH_BYTES * len(names):
            raise changed_meanwhile(root / next(iter(names.values())))
        for index, name in enumerate(names.values()):
            hashes[name] = sha256_of(known[group].files, index)
    return hashes


def _by_folder(paths: Iterable[str]) -> dict[str, set[str]]:
    """Names of files by folder, of those in class folders for training."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder.startswith(PREFIX):
            found.setdefault(folder, set()).add(name)
    return found


def _images(listing: Listing, folders: Container[str]) -> dict[str, dict[str, str]]:
    """Training images in ``folders``: file name where it lies -> the name that the dataset gives it."""
    found: dict[str, dict[str, str]] = {}
    for name in (name for names in listing.files["train"] for name in names):
        folder, _, file = listing.source(name).rpartition("/")
        if folder in folders:
            found.setdefault(folder, {})[file] = name
    return found


def _in_form(name: str) -> str:
    """A file's name in NFC, its ending in small letters."""
    stem, dot, ending = nfc(name).rpartition(".")
    return stem + dot + ending.lower()


def _tables_in(place: Path) -> set[str]:
    """Names of files with rows; a link to nothing is there too, and refused where it is read."""
    if not place.is_dir():
        return set()
    return {
        entry.name
        for entry in os.scandir(place)
        if entry.name.lower() in (*TABLES, *UNREAD) and not entry.is_dir()
    }


def _refuse_unread(place: Path, names: set[str]) -> None:
    for name in sorted(names):
        if name.lower() in UNREAD:
            target = place / f"{name.partition('.')[0]}.csv"
            code = f"import pandas; pandas.read_parquet('{place / name}').to_csv('{target}', index=False)"
            raise UvlpError(
                "captions are not read from a Parquet file",
                got=str(place / name),
                allowed=first_few(TABLES),
                fix=f'convert it and move it away: python -c "{code}"',
            )


def _beside(file: str) -> list[str]:
    """What a caption beside an image is called: as it, with or without the image's own ending."""
    stem = file.rpartition(".")[0]
    return [name + ending for ending in SIDECARS for name in (stem, file)]


def unread_captions(root: Path, files: CaptionFiles) -> tuple[str, ...]:
    """A line about files at the top, or in a folder there, that hold captions under another name."""
    entries = _entries(root)
    folders = [entry for entry in entries if entry.is_dir() and entry.name not in SPLITS]
    for folder in folders[:MOST_FOLDERS]:
        entries += _entries(folder.path) if _is_small(folder.path) else []
    found = (entry for entry in entries if entry.name.lower().endswith(ENDINGS) and _has_captions(entry))
    names = [name for name in (os.path.relpath(e.path, root) for e in found) if name not in files.tables]
    if not names:
        return ()
    return (f"{first_few(names)}: may hold captions and is not read; `uvlp captions import FILE` takes it",)


def _is_small(folder: str) -> bool:
    try:
        with os.scandir(folder) as inside:
            return len(list(itertools.islice(inside, MOST_FILES + 1))) <= MOST_FILES
    except OSError:
        return False


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        return visible_entries(folder)
    except UvlpError:
        return []


def _has_captions(entry: os.DirEntry[str]) -> bool:
    if not entry.is_file():
        return False
    if entry.name.lower().endswith(UNREAD_ENDING):
        return True
    if entry.stat().st_size > LONGEST_LOOK_BYTES:
        return not entry.name.lower().endswith(".txt")
    try:
        return any(True for _ in itertools.islice(formats.read_rows([Path(entry.path)]), 1))
    except UvlpError:
        return False


def read_captions(root: Path, files: CaptionFiles, listing: Listing) -> FolderCaptions:
    """The captions of a folder of somebody's images, whose rows must all be for images that are there.

    Raises:
        UvlpError: a broken row, a caption for an image that does not exist, or two that differ.
    """
    every = [name for split in SPLITS for names in listing.files[split] for name in names]
    captions = _FoundCaptions()
    for table in files.tables:
        prefix = nfc(table[: table.rfind("/") + 1])
        relative = [name.removeprefix(prefix) for name in every if name.startswith(prefix)]
        texts = captions.rows(table, formats.read_rows([root / table]))
        resolved = metadata_jsonl.resolve(texts, relative, str(root / table))
        captions.add(table, {prefix + name: text for name, text in resolved.items()})
    captions.read_sidecars(root, files)
    return captions.captions()


def look_up_captions(root: Path, files: CaptionFiles, names: Sequence[str]) -> FolderCaptions:
    """The captions of a published set, whose rows may be for other images too.

    Rows are found as the published code finds them (`caption_lookup`), by their bare names too.

    Args:
        root: folder of the dataset.
        files: as found.
        names: training images, e.g. ``train/n01440764/n01440764_18.JPEG``.

    Raises:
        UvlpError: a file cannot be read, a row is broken, or two captions of an image differ.
    """
    captions = _FoundCaptions()
    for table in files.tables:
        folder = nfc(table.rpartition("/")[0])
        within = f"{folder}/".removeprefix(PREFIX) if folder else ""
        rows = captions.rows(table, formats.read_rows([root / table]))
        texts = {within + name.removeprefix("" if folder else PREFIX): text for name, text in rows.items()}
        relative = (name.removeprefix(PREFIX) for name in names)
        found = {PREFIX + name: _look_up(texts, name) for name in relative if name.startswith(within)}
        captions.add(table, {name: text for name, text in found.items() if text})
    captions.read_sidecars(root, files)
    return captions.captions()


def _look_up(texts: Mapping[str, str], name: str) -> str:
    return find_caption(texts, name.split("/")[0], name.split("/")[-1], bare_names=True)


class _FoundCaptions:
    """What the files say, with the file that says it first."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str, str]] = {}
        self._notes: list[str] = []
        self._further = 0

    def rows(self, table: str, captions: Iterable[Caption]) -> dict[str, str]:
        """Caption by name as written; of several rows for one name the last one counts."""
        found = list(captions)
        texts = {caption.name: caption.text for caption in found}
        if len(texts) < len(found):
            overruled = len(found) - len(texts)
            self._notes.append(f"{table}: {overruled} rows are overruled by a later row for the same image")
        self._further += sum(caption.further for caption in found)
        return texts

    def add(self, file: str, texts: Mapping[str, str]) -> None:
        """Captions by image; an empty one leaves the word to another file.

        Raises:
            UvlpError: another file says something else of an image.
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
                fix="keep one of the two files, or import the right captions with `uvlp captions import`",
            )

    def read_sidecars(self, root: Path, files: CaptionFiles) -> None:
        """Add the files beside the images; those that hold something else than a caption are counted."""
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
            self._notes.append(f"{others} files beside images hold no caption and are not used")

    def captions(self) -> FolderCaptions:
        """All of them."""
        if self._further:
            self._notes.append(
                f"{self._further} further captions are not used, the first of each image counts"
            )
        texts = {
            image.removeprefix(PREFIX): text
            for image, (text, _) in self._texts.items()
            if image.startswith(PREFIX)
        }
        return FolderCaptions(texts, tuple(self._notes))


def find_caption(
    captions: Mapping[str, str], class_id: str, file_name: str, *, bare_names: bool = False
) -> str:
    """The caption, or the empty string when there is none.

    Tried in this order, empty captions passed over: ``class/file``; the same with ``_<class>.JPEG``
    shortened to ``.JPEG``; and, for VLCP's files, the bare file name (E31).

    Args:
        captions: text by ``file_name`` of the metadata.
        class_id: class folder of the image.
        file_name: base name of the image.
        bare_names: also try the bare file name.
    """
    key = f"{class_id}/{file_name}"
    keys = [key, key.replace(f"_{class_id}.JPEG", ".JPEG")] + [file_name] * bare_names
    return next((captions[key] for key in keys if captions.get(key)), "")
