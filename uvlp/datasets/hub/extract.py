"""Rows of a dataset as a folder: `train/<class>/<row>.jpg`, `val/<class>/<row>.jpg`, captions, a record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from uvlp.artifacts.dataset import SPLITS
from uvlp.core.errors import UvlpError
from uvlp.core.files.writing import write_utf8
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few
from uvlp.datasets.hub import columns as recognition
from uvlp.datasets.hub.address import Address
from uvlp.datasets.hub.columns import Columns
from uvlp.datasets.hub.folder_names import are_folder_names
from uvlp.datasets.hub.rows import TEST, TRAIN, Reader, Row

RECORD = ".dataset.json"
"""Hidden, so that it is no file with captions."""
CAPTIONS = "metadata.jsonl"
ENDINGS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"P6": ".ppm",
    b"P5": ".pgm",
}
"""Endings of image files by their first bytes."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a folder holds.

    Attributes:
        address: pinned to a commit.
        ids: names of the class folders, in the order of the labels.
        names: readable names of the classes.
        licence: as the card states it; may be empty.
        notes: for the user.
    """

    address: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    licence: str
    notes: tuple[str, ...]


def extract(reader: Reader, address: Address, licence: str, folder: Path, progress: Progress) -> None:
    """Write the images as the bytes that the rows hold; none is decoded.

    Args:
        reader: of the configuration.
        address: pinned to a commit.
        licence: of the card.
        folder: an existing, empty one.
        progress: reports the images.

    Raises:
        UvlpError: a missing split, column, image or label, or classes that the splits do not share.
        OSError: it cannot be written.
    """
    names = (reader.split("train", address.train, TRAIN), reader.split("test", address.test, TEST))
    columns = recognition.choose(reader.features(names[0]), address)
    writer = _Writer(folder, columns, address)
    for split, name in zip(SPLITS, names, strict=True):
        rows = reader.rows(name, columns)
        for number, row in enumerate(progress.track(rows, f"images of {name}", total=0)):
            writer.add(split, name, number, row)
    ids, readable = writer.finish(names)
    others = [name for name in reader.splits if name not in names and name in (*TRAIN, *TEST)]
    notes = (
        f"images `{columns.image}` and labels `{columns.label}` of the splits {names[0]} and {names[1]}"
        + (f"; not used: {first_few(others)}" if others else ""),
        *writer.caption_notes(),
    )
    record = Record(address=address.title, ids=ids, names=readable, licence=licence, notes=notes)
    write_utf8(folder / RECORD, json.dumps(asdict(record), ensure_ascii=False, indent=1) + "\n")


@dataclass
class _Writer:
    """Writes images into folders by the order in which their classes appear, which are renamed at the end."""

    folder: Path
    columns: Columns
    address: Address
    _places: dict[int | str, int] = field(default_factory=dict)
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)
    _captions: list[tuple[int, str, str]] = field(default_factory=list)
    _further: int = 0

    def add(self, split: str, source: str, number: int, row: Row) -> None:
        """Write one image.

        Raises:
            UvlpError: an unknown format, or no label.
        """
        where = f"hf:{self.address.title}: row {number} of {source}"
        key = "train" if split == "train" else "test"
        place = self._places.setdefault(self._label(row, where, key), len(self._places))
        name = f"{number:08d}{_ending(row.content, where)}"
        target = self.folder / "unsorted" / split / str(place)
        if (split, place) not in self._counts:
            target.mkdir(parents=True)
        (target / name).write_bytes(row.content)
        self._counts[split, place] = self._counts.get((split, place), 0) + 1
        if split == "train" and row.captions:
            self._captions.append((place, name, row.captions[0]))
            self._further += len(row.captions) - 1

    def _label(self, row: Row, where: str, key: str) -> int | str:
        label = row.label
        if isinstance(label, str) and label.strip():
            return label.strip()
        if isinstance(label, int) and 0 <= label < (len(self.columns.names) or label + 1):
            return label
        missing = label is None or label == -1 or label == ""
        fix = f"choose another split behind the address: ,{key}=SPLIT"
        raise UvlpError(
            f"{where} has {'no label' if missing else 'a label that is no class'}",
            got=label,
            allowed=f"0 to {len(self.columns.names) - 1}" if self.columns.names else "a label for each image",
            fix=fix if missing else None,
        )

    def finish(self, sources: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give the class folders their names, and write the captions; return ids and names of the classes.

        Raises:
            UvlpError: a class without images in a split, or labels that skip a number.
        """
        names, places = self._ordered()
        for split, source in zip(SPLITS, sources, strict=True):
            empty = [n for n, p in zip(names, places, strict=True) if (split, p) not in self._counts]
            if empty:
                what = f"hf:{self.address.title}: {len(empty)} of {len(names)} classes have no images"
                raise UvlpError(f"{what} in the split {source}", got=first_few(empty))
        ids = names if are_folder_names(names) else tuple(map(str, range(len(names))))
        for split in SPLITS:
            (self.folder / split).mkdir()
            for identity, place in zip(ids, places, strict=True):
                (self.folder / "unsorted" / split / str(place)).rename(self.folder / split / identity)
            (self.folder / "unsorted" / split).rmdir()
        (self.folder / "unsorted").rmdir()
        if self._captions:
            id_of = dict(zip(places, ids, strict=True))
            write_utf8(self.folder / "train" / CAPTIONS, "".join(self._lines(id_of)))
        return ids, tuple(name.replace("_", " ") for name in names)

    def _ordered(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the names of the classes in their order, and their provisional folders; -1 for none."""
        if self.columns.names:
            stated = self.columns.names
            return stated, tuple(self._places.get(label, -1) for label in range(len(stated)))
        labels = sorted(self._places, key=lambda label: (isinstance(label, str), label))
        if not self.columns.texts and labels != list(range(len(labels))):
            got = first_few(map(str, labels))
            what = f"hf:{self.address.title}: the labels of `{self.columns.label}` are not numbered from 0"
            raise UvlpError(what, got=got, allowed=f"0 to {len(labels) - 1}")
        return tuple(map(str, labels)), tuple(self._places[label] for label in labels)

    def _lines(self, id_of: dict[int, str]) -> Iterator[str]:
        for place, name, text in self._captions:
            row = {"file_name": f"{id_of[place]}/{name}", "text": text}
            yield json.dumps(row, ensure_ascii=False) + "\n"

    def caption_notes(self) -> Iterator[str]:
        """Yield what is to be said of the captions."""
        if not self.columns.caption:
            return
        total = sum(count for (split, _), count in self._counts.items() if split == "train")
        yield f"captions `{self.columns.caption}` of {len(self._captions)} of {total} training images" + (
            f"; {self._further} further ones are not used" if self._further else ""
        )


def _ending(content: bytes, where: str) -> str:
    for beginning, ending in ENDINGS.items():
        if content.startswith(beginning):
            return ending
    allowed = ", ".join(dict.fromkeys(ENDINGS.values()))
    raise UvlpError(f"{where} is no image of a format that is read", got=content[:16], allowed=allowed)
