"""Match the rows of a caption file to the images of a dataset (methods.md A.2, B.1, E31).

Names are compared in NFC, first as written, then in canonical form: ``MM`` in VLCP's renamed images becomes
``_`` again, and a trailing ``_n########`` before ``.JPEG`` is removed. Of a longer path the part below
``train/`` is used, with or without suffix; a name without a folder matches if only one image has it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from uvlp.core.files.unicode_form import nfc

WNID_BEFORE_SUFFIX = re.compile(r"_n\d{8}(?=\.JPEG$)")


@dataclass(frozen=True, slots=True)
class Match:
    """The result of matching rows to images.

    Attributes:
        texts: caption by image, for every image in order; empty if there is none.
        rows: number of rows.
        with_rows: images with a matching row, even an empty one.
        overridden: for each image, the number of its rows that another row overrides.
        without_image: names of rows that match no image, or several.
    """

    texts: Mapping[str, str]
    rows: int
    with_rows: Set[str]
    overridden: Mapping[str, int]
    without_image: tuple[str, ...]

    @property
    def without_caption(self) -> list[str]:
        """Images without a caption, or with an empty one."""
        return [name for name, text in self.texts.items() if not text.strip()]


def match(rows: Iterable[Sequence[Any]], images: Sequence[str], *, published: bool = False) -> Match:
    """Match a caption to every image; the last of several rows with one name is used.

    If several names match an image, exact names take precedence and empty captions are skipped.

    Args:
        rows: file name and caption as in the file; further values are ignored.
        images: names below `train/`, e.g. ``n02086240/n02086240_17.JPEG``.
        published: require that the part before the first ``_`` of a name without a folder is the class of the
            image, as in UVLP's notebook (338 images of ImageWoof get no caption that way).
    """
    texts: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for name, text, *_ in rows:
        tidy = _tidy(name)
        texts.pop(tidy, None)  # the order is that of each name's last row
        texts[tidy] = text
        counts[tidy] += 1
    index = _Index(texts, images, published)
    captions, overridden = {}, {}
    matched, with_rows = set(), set()
    for image in images:
        candidates = index.candidates(image)
        used = next((name for name in candidates if texts[name].strip()), None)
        captions[image] = texts[used] if used else ""
        if candidates:
            with_rows.add(image)
            matched.update(candidates)
            overridden[image] = sum(counts[name] for name in candidates) - 1
    without_image = tuple(name for name in texts if name not in matched)
    return Match(captions, counts.total(), with_rows, overridden, without_image)


def same_image(one: str, other: str) -> bool:
    """Return whether two names mean the same image, with paths of any length."""
    return one == other or not set(_paths(_tidy(one))).isdisjoint(_paths(_tidy(other)))


class _Index:
    """Names of rows by every form under which an image may look them up."""

    def __init__(self, names: Iterable[str], images: Sequence[str], published: bool) -> None:
        self._published = published
        self._as_written: dict[str, list[str]] = defaultdict(list)
        self._canonical: dict[str, list[str]] = defaultdict(list)
        for name in names:
            for path in _paths(name):
                self._as_written[path].append(name)
                self._canonical[_canonical(path)].append(name)
        self._stems = Counter(map(_stem, images))
        bare = [_bare(image) for image in images]
        self._bare, self._canonical_bare = Counter(bare), Counter(map(_canonical, bare))

    def candidates(self, image: str) -> list[str]:
        """Names of rows that match ``image``, best match first, later rows before earlier ones."""
        matches = [self._as_written.get(image), self._canonical.get(_canonical(image))]
        if self._stems[_stem(image)] == 1:
            matches.append(self._as_written.get(_stem(image)))
        bare = _bare(image)
        if not self._published or bare.partition("_")[0] == image.partition("/")[0]:
            if self._bare[bare] == 1:
                matches.append(self._as_written.get(bare))
            if self._canonical_bare[_canonical(bare)] == 1:
                matches.append(self._canonical.get(_canonical(bare)))
        return list(dict.fromkeys(name for names in matches if names for name in reversed(names)))


def _paths(name: str) -> list[str]:
    """The name, and its part below each folder `train`, if that is a folder with a file."""
    parts = name.split("/")
    below = ["/".join(parts[index + 1 :]) for index, part in enumerate(parts[:-2]) if part == "train"]
    return [name, *below]


def _tidy(name: str) -> str:
    return "/".join(part for part in nfc(name).replace("\\", "/").split("/") if part not in ("", "."))


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    """The name without its suffix, which programs use for several files of one image."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


def _canonical(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + WNID_BEFORE_SUFFIX.sub("", file.replace("MM", "_"))
