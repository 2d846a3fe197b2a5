"""Which rows of somebody's caption file belong to the images of a dataset (methods.md A.2, B.1, E31).

Names are compared in NFC, as written first, then in one spelling: ``MM`` of VLCP's renamed images becomes
``_`` again, and a trailing ``_n########`` before ``.JPEG`` goes. Of a longer path the part below ``train/``
counts, also without the ending of the file; a name without a folder where one image alone is called so.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from uvlp.core.files.unicode_form import nfc

WNID_BEFORE_ENDING = re.compile(r"_n\d{8}(?=\.JPEG$)")


@dataclass(frozen=True, slots=True)
class Match:
    """Rows and images brought together.

    Attributes:
        texts: caption by image, every image in order; empty where there is none.
        rows: number of rows.
        with_rows: images that a row belongs to, if only an empty one.
        overruled: image -> number of its rows that another row overrules.
        without_image: names of rows that belong to no image, or to several.
    """

    texts: Mapping[str, str]
    rows: int
    with_rows: Set[str]
    overruled: Mapping[str, int]
    without_image: tuple[str, ...]

    @property
    def without_caption(self) -> list[str]:
        """Images without a caption, or with an empty one."""
        return [name for name, text in self.texts.items() if not text.strip()]


def match(rows: Iterable[Sequence[Any]], images: Sequence[str], *, published: bool = False) -> Match:
    """Give every image its caption; of several rows with one name the last counts.

    Where several names fit an image, the exact one comes first and empty captions are passed over.

    Args:
        rows: file name and caption as they stand in the file, and what else a row has.
        images: names below `train/`, e.g. ``n02086240/n02086240_17.JPEG``.
        published: of a name without a folder, take what stands before the first ``_`` for its class and no
            other image, as UVLP's notebook does (338 images of ImageWoof get no caption that way).
    """
    texts: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for name, text, *_ in rows:
        tidy = _tidy(name)
        texts.pop(tidy, None)  # a name stands where its last row does
        texts[tidy] = text
        counts[tidy] += 1
    named = _Named(texts, images, published)
    found, overruled = {}, {}
    matched, with_rows = set(), set()
    for image in images:
        candidates = named.candidates(image)
        used = next((name for name in candidates if texts[name].strip()), None)
        found[image] = texts[used] if used else ""
        if candidates:
            with_rows.add(image)
            matched.update(candidates)
            overruled[image] = sum(counts[name] for name in candidates) - 1
    strangers = tuple(name for name in texts if name not in matched)
    return Match(found, counts.total(), with_rows, overruled, strangers)


def same_image(one: str, other: str) -> bool:
    """Whether two names mean one image, however much of the way to it they say."""
    return one == other or not set(_paths(_tidy(one))).isdisjoint(_paths(_tidy(other)))


class _Named:
    """Names of rows by every spelling under which an image may ask for them."""

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
        """Names of rows that fit ``image``, the best first; the last in the file before earlier ones."""
        fitting = [self._as_written.get(image), self._canonical.get(_canonical(image))]
        if self._stems[_stem(image)] == 1:
            fitting.append(self._as_written.get(_stem(image)))
        bare = _bare(image)
        if not self._published or bare.partition("_")[0] == image.partition("/")[0]:
            if self._bare[bare] == 1:
                fitting.append(self._as_written.get(bare))
            if self._canonical_bare[_canonical(bare)] == 1:
                fitting.append(self._canonical.get(_canonical(bare)))
        return list(dict.fromkeys(name for names in fitting if names for name in reversed(names)))


def _paths(name: str) -> list[str]:
    """The name, and what stands below each folder `train` of it, if that is a folder with a file."""
    parts = name.split("/")
    below = ["/".join(parts[at + 1 :]) for at, part in enumerate(parts[:-2]) if part == "train"]
    return [name, *below]


def _tidy(name: str) -> str:
    return "/".join(part for part in nfc(name).replace("\\", "/").split("/") if part not in ("", "."))


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    """The name without its ending, as programs call an image that they keep several files for."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


def _canonical(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + WNID_BEFORE_ENDING.sub("", file.replace("MM", "_"))
