"""Captions of others for a dataset: taken over into the store, and compared with its training images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.captioners.texts import formats, imported
from uvlp.captioners.texts.match import Match, match
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress, print_message
from uvlp.core.wording import first_few
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.folders.collect import check_store
from uvlp.pipeline.prepare import print_notes

CLIP_TOKENS = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of an import.

    Attributes:
        path: of the captions that the dataset has now.
        counts: rows read, training images, captions that there are now, rows that another row for the same
            image overrides (``overruled``), rows without an image, images without a caption, further captions
            in a row, captions of an earlier import that were kept, and that were replaced.
        without_image: names in rows that belong to no training image.
        without_caption: names of training images.
    """

    path: Path
    counts: Mapping[str, int]
    without_image: Sequence[str]
    without_caption: Sequence[str]


def import_files(
    files: Sequence[Path],
    spec: DatasetSpec,
    store: Store,
    *,
    questions: Path | None = None,
    field: str = "",
    published: bool = False,
) -> Imported:
    """Take over the captions of ``files`` for a dataset.

    Args:
        files: as `captioners/texts/formats.py` knows them; of several rows for an image the last counts.
        spec: the dataset.
        store: where the captions are kept.
        questions: LLaVA's question file, for answers that name no image.
        field: name of the field with the caption; empty: as the conventions have it.
        published: match names without a folder as UVLP's notebook does.

    Raises:
        UvlpError: a broken line, no row that belongs to an image, two files that give an image different
            captions, or a store that cannot be written.
    """
    dataset = _opened(spec, store)
    images = _images(dataset)
    rows = {file: list(formats.read_rows([file], questions, field)) for file in files}
    _check_agreement({file: match(part, images, published=published) for file, part in rows.items()})
    found = match([row for part in rows.values() for row in part], images, published=published)
    if len(found.without_caption) == len(images):
        raise UvlpError(
            f"no caption in these files is for a training image of {spec}",
            got=first_few(found.without_image) or "no rows with a text",
            allowed=f"names such as {first_few(images)}",
        )
    store.prepare()
    path = imported.place(store.root, spec, dataset.manifest)
    texts, kept, replaced = _with_earlier(path, found.texts)
    imported.write(path, texts)
    lacking = [name for name, text in texts.items() if not text.strip()]
    counts = {
        "rows": found.rows,
        "images": len(images),
        "captions": len(images) - len(lacking),
        "overruled": sum(found.overruled.values()),
        "without_image": len(found.without_image),
        "without_caption": len(lacking),
        "further": sum(row.further for part in rows.values() for row in part),
        "kept": kept,
        "replaced": replaced,
    }
    return Imported(
        path=path,
        counts=counts,
        without_image=found.without_image,
        without_caption=lacking,
    )


def _opened(spec: DatasetSpec, store: Store) -> Dataset:
    check_store(store.root, spec)
    store.begin()
    dataset: Dataset = open_dataset(spec, store.cache, Progress(print_message, "dataset"))
    print_notes(str(spec), dataset.manifest)
    return dataset


def _images(dataset: Dataset) -> list[str]:
    return [name.removeprefix("train/") for name in dataset.files("train")]


def _check_agreement(matches: Mapping[Path, Match]) -> None:
    """No image has different captions in two files; within a file the last row counts.

    Raises:
        UvlpError: some have.
    """
    first: dict[str, tuple[str, Path]] = {}
    differing = []
    for file, found in matches.items():
        for image, text in found.texts.items():
            if text.strip():
                known, by = first.setdefault(image, (text, file))
                if known.strip() != text.strip():
                    differing.append(f"{image}: {by} and {file}")
    if differing:
        raise UvlpError(
            f"two files give {len(differing)} images different captions",
            got=first_few(differing),
            fix="import the right one, or both in order: the later import overrides the earlier; answers of "
            "LLaVA whose numbering restarts each need their own question file",
        )


def _with_earlier(path: Path, texts: Mapping[str, str]) -> tuple[dict[str, str], int, int]:
    """The captions, with earlier ones where there is no new one; how many were kept and replaced."""
    earlier = metadata_jsonl.parse(path, imported.sha256(path)).texts if path.is_file() else {}
    both = {name: text if text.strip() else earlier.get(name, "") for name, text in texts.items()}
    kept = sum(name in earlier and not text.strip() for name, text in texts.items())
    replaced = sum(name in earlier and both[name] != earlier[name] for name in both)
    return both, kept, replaced


@dataclass(frozen=True, slots=True)
class Tally:
    """What stands in a line of the check: counts of training images, and of rows that others override.

    Attributes:
        images: all of them.
        missing: those without a row.
        empty: those whose caption is empty.
        overruled: rows that a later or better row for the same image overrides.
        long: captions of more than 77 of CLIP's tokens, start and end included.
    """

    images: int
    missing: int
    empty: int
    overruled: int
    long: int

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How well captions cover a dataset's training images.

    Attributes:
        source: where the captions are from.
        classes: by id its name and its tally.
        total: of all classes.
        without_image: names in rows that belong to no training image.
        without_caption: names of training images.
    """

    source: str
    classes: Mapping[str, tuple[str, Tally]]
    total: Tally
    without_image: Sequence[str]
    without_caption: Sequence[str]


def check(
    file: Path | None, spec: DatasetSpec, store: Store, *, questions: Path | None = None, field: str = ""
) -> Coverage:
    """Count overridden rows, missing, empty and long captions per class.

    Args:
        file: captions to look at; None for those that the dataset would use.
        spec: the dataset.
        store: that holds imported captions.
        questions: LLaVA's question file, for answers in ``file`` that name no image.
        field: name of the field with the caption in ``file``; empty: as the conventions have it.

    Raises:
        UvlpError: a broken line, or no captions at all.
    """
    dataset = _opened(spec, store)
    if file is None:
        source, rows = _rows(spec, dataset, store)
    else:
        source, rows = str(file), list(formats.read_rows([file], questions, field))
    found = match(rows, _images(dataset))
    names = {info.id: info.name for info in dataset.manifest.classes}
    tallies = _tallies(found, list(names), dataset.labels("train"))
    return Coverage(
        source=source,
        classes={identity: (names[identity], tally) for identity, tally in tallies.items()},
        total=sum(tallies.values(), Tally(0, 0, 0, 0, 0)),
        without_image=found.without_image,
        without_caption=found.without_caption,
    )


def _rows(spec: DatasetSpec, dataset: Dataset, store: Store) -> tuple[str, Sequence[Sequence[Any]]]:
    """Where the captions that the dataset uses are from, and their rows."""
    file = imported.find(store.root, spec, dataset.manifest)
    if file is not None:
        imported.sha256(file)
        return str(file), list(formats.read_rows([file]))
    own = dataset.captions()
    if own is None:
        raise UvlpError(
            f"{spec} has no captions",
            got="no metadata.jsonl, no texts beside the images, nothing imported",
            fix="import some with `uvlp captions import FILE`, or name a file to check",
        )
    return "the dataset's own", list(own.items())


def _tallies(found: Match, class_ids: Sequence[str], labels: Sequence[int]) -> dict[str, Tally]:
    """A tally per class."""
    images, missing, empty, overruled, long = (Counter[str]() for _ in range(5))
    lengths = _token_counts(list(found.texts.values()))
    for label, (name, text), tokens in zip(labels, found.texts.items(), lengths, strict=True):
        identity = class_ids[label]
        images[identity] += 1
        missing[identity] += name not in found.with_rows
        empty[identity] += name in found.with_rows and not text.strip()
        overruled[identity] += found.overruled.get(name, 0)
        long[identity] += tokens > CLIP_TOKENS
    return {
        identity: Tally(*(counts[identity] for counts in (images, missing, empty, overruled, long)))
        for identity in class_ids
    }


def _token_counts(texts: Sequence[str]) -> list[int]:
    """CLIP's tokens per text, start and end included."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    return [len(tokenizer.encode(text)) + 2 for text in texts]
