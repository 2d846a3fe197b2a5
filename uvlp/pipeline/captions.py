"""Existing captions of a dataset: import into the store, and comparison with its training images."""

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
    """Result of an import.

    Attributes:
        path: file with all imported captions of the dataset.
        counts: rows read, training images, images that now have a caption, rows that are overridden by
            another row for the same image (``overruled``), rows without an image, images without a caption,
            additional captions in a row, and captions of an earlier import that were kept or replaced.
        without_image: names in rows that match no training image.
        without_caption: names of training images without a caption.
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
    """Import the captions of ``files`` for a dataset.

    Args:
        files: in the formats of `captioners/texts/formats.py`; the last row for an image counts.
        spec: the dataset.
        store: where the captions are stored.
        questions: LLaVA's question file, for answers without image names.
        field: name of the field with the caption; empty: one of the usual names.
        published: match names without a folder as UVLP's notebook does.

    Raises:
        UvlpError: an invalid line, no row that matches an image, contradicting captions in two files, or a
            store that cannot be written.
    """
    dataset = _opened(spec, store)
    images = _images(dataset)
    rows = {file: list(formats.read_rows([file], questions, field)) for file in files}
    _check_agreement({file: match(part, images, published=published) for file, part in rows.items()})
    matched = match([row for part in rows.values() for row in part], images, published=published)
    if len(matched.without_caption) == len(images):
        raise UvlpError(
            f"no caption in these files matches a training image of {spec}",
            got=first_few(matched.without_image) or "no rows with a text",
            allowed=f"names such as {first_few(images)}",
        )
    store.prepare()
    path = imported.file_path(store.root, spec, dataset.manifest)
    texts, kept, replaced = _with_earlier(path, matched.texts)
    imported.write(path, texts)
    without_caption = [name for name, text in texts.items() if not text.strip()]
    counts = {
        "rows": matched.rows,
        "images": len(images),
        "captions": len(images) - len(without_caption),
        "overruled": sum(matched.overridden.values()),
        "without_image": len(matched.without_image),
        "without_caption": len(without_caption),
        "further": sum(row.further for part in rows.values() for row in part),
        "kept": kept,
        "replaced": replaced,
    }
    return Imported(
        path=path,
        counts=counts,
        without_image=matched.without_image,
        without_caption=without_caption,
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
    """Refuse files that contradict each other; within a file the last row counts.

    Raises:
        UvlpError: an image has different captions in two files.
    """
    first: dict[str, tuple[str, Path]] = {}
    differing = []
    for file, matched in matches.items():
        for image, text in matched.texts.items():
            if text.strip():
                earlier_text, earlier_file = first.setdefault(image, (text, file))
                if earlier_text.strip() != text.strip():
                    differing.append(f"{image}: {earlier_file} and {file}")
    if differing:
        raise UvlpError(
            f"two files give {len(differing)} images different captions",
            got=first_few(differing),
            fix="import the right one, or both in order: the later import overrides the earlier; LLaVA's "
            "answers whose numbering restarts need a separate import with their own question file",
        )


def _with_earlier(path: Path, texts: Mapping[str, str]) -> tuple[dict[str, str], int, int]:
    """Complete captions with earlier ones; also return the numbers of kept and replaced ones."""
    earlier = metadata_jsonl.parse(path, imported.sha256(path)).texts if path.is_file() else {}
    merged = {name: text if text.strip() else earlier.get(name, "") for name, text in texts.items()}
    kept = sum(name in earlier and not text.strip() for name, text in texts.items())
    replaced = sum(name in earlier and merged[name] != earlier[name] for name in merged)
    return merged, kept, replaced


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of training images and of overridden rows, for a class or in total.

    Attributes:
        images: all images.
        missing: images without a row.
        empty: images whose caption is empty.
        overruled: rows that are overridden by a later or better row for the same image.
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
        source: file with the captions, or "the dataset's own".
        classes: name and tally by class id.
        total: tally of all classes.
        without_image: names in rows that match no training image.
        without_caption: names of training images without a caption.
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
        file: captions to check; None for those that the dataset uses.
        spec: the dataset.
        store: the store with imported captions.
        questions: LLaVA's question file, for answers in ``file`` without image names.
        field: name of the field with the caption in ``file``; empty: one of the usual names.

    Raises:
        UvlpError: an invalid line, or no captions at all.
    """
    dataset = _opened(spec, store)
    if file is None:
        source, rows = _rows(spec, dataset, store)
    else:
        source, rows = str(file), list(formats.read_rows([file], questions, field))
    matched = match(rows, _images(dataset))
    names = {info.id: info.name for info in dataset.manifest.classes}
    tallies = _tallies(matched, list(names), dataset.labels("train"))
    return Coverage(
        source=source,
        classes={identity: (names[identity], tally) for identity, tally in tallies.items()},
        total=sum(tallies.values(), Tally(0, 0, 0, 0, 0)),
        without_image=matched.without_image,
        without_caption=matched.without_caption,
    )


def _rows(spec: DatasetSpec, dataset: Dataset, store: Store) -> tuple[str, Sequence[Sequence[Any]]]:
    """Return the source of the captions that the dataset uses, and their rows."""
    file = imported.find(store.root, spec, dataset.manifest)
    if file is not None:
        imported.sha256(file)
        return str(file), list(formats.read_rows([file]))
    own = dataset.captions()
    if own is None:
        raise UvlpError(
            f"{spec} has no captions",
            got="no metadata.jsonl, no text files beside the images, no imported captions",
            fix="import some with `uvlp captions import FILE`, or give a file to check",
        )
    return "the dataset's own", list(own.items())


def _tallies(matched: Match, class_ids: Sequence[str], labels: Sequence[int]) -> dict[str, Tally]:
    """Return a tally per class."""
    images, missing, empty, overruled, long = (Counter[str]() for _ in range(5))
    lengths = _token_counts(list(matched.texts.values()))
    for label, (name, text), tokens in zip(labels, matched.texts.items(), lengths, strict=True):
        identity = class_ids[label]
        images[identity] += 1
        missing[identity] += name not in matched.with_rows
        empty[identity] += name in matched.with_rows and not text.strip()
        overruled[identity] += matched.overridden.get(name, 0)
        long[identity] += tokens > CLIP_TOKENS
    return {
        identity: Tally(*(counts[identity] for counts in (images, missing, empty, overruled, long)))
        for identity in class_ids
    }


def _token_counts(texts: Sequence[str]) -> list[int]:
    """Return the number of CLIP tokens per text, including start and end."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    return [len(tokenizer.encode(text)) + 2 for text in texts]
