"""Rows of a dataset of the hub, read by the library `datasets`: bytes of an image file, label, caption."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.writing import link_or_copy
from uvlp.core.wording import first_few
from uvlp.datasets.hub.address import Address
from uvlp.datasets.hub.card import CARD, CONVERTED, DESCRIPTIONS, OLD_INFOS, Part, needs_config
from uvlp.datasets.hub.columns import Columns

TRAIN, TEST = ("train", "training"), ("validation", "val", "valid", "dev", "test", "testing")
"""Names of splits that are recognised; the first of a dataset is used."""
EXTRA = "hf"


@dataclass(frozen=True, slots=True)
class Row:
    """The bytes of an image file; the label, None if it is missing; captions, of which the first is used."""

    content: bytes
    label: int | str | None
    captions: tuple[str, ...]


def require_library() -> None:
    """Refuse to fetch what cannot be read.

    Raises:
        UvlpError: the library `datasets` is not installed.
    """
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        what = "datasets of the hub need the library `datasets`"
        raise UvlpError(what, fix=f"pip install 'uvlp[{EXTRA}]'") from error


def view(snapshot: Path, part: Part, folder: Path, address: Address) -> None:
    """Fill ``folder`` with links to the files of one configuration, and its part of the card.

    Raises:
        UvlpError: there are no such files, or the folders of several configurations.
    """
    from huggingface_hub import metadata_save

    every = [path for path in snapshot.rglob("*") if path.is_file()]
    names = {path.relative_to(snapshot).as_posix(): path for path in every}
    used = [name for name in names if any(fnmatchcase(name, pattern) for pattern in part.patterns)]
    if not set(used) - set(DESCRIPTIONS):
        raise UvlpError(
            f"hf:{address.title} has no files that are read",
            got=first_few(sorted(names)) or "nothing",
            allowed="Parquet or image files; a loading script is not run",
            fix=f"use the hub's own conversion: hf:{address.repository}@{CONVERTED}",
        )
    if address.branch == CONVERTED and not address.config:
        configs = sorted({name.partition("/")[0] for name in used if "/" in name})
        if len(configs) > 1:
            raise needs_config(address, configs)
    for name in {*used, *({OLD_INFOS} & set(names))} - {CARD}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _link(os.path.realpath(names[name]), folder / name)
    if part.card:
        metadata_save(folder / CARD, dict(part.card))


def _link(source: str, target: Path) -> None:
    """Name a file of the hub's cache; a file system without symbolic links gets another name, or a copy."""
    try:
        os.symlink(source, target)
    except OSError:
        link_or_copy(Path(source), target)


class Reader:
    """The splits of a configuration.

    Args:
        folder: from :func:`view`.
        part: the configuration.
        address: for messages.
        cache: an empty folder for the library.

    Raises:
        UvlpError: the library cannot read it.
    """

    def __init__(self, folder: Path, part: Part, address: Address, cache: Path) -> None:
        import datasets

        self._address, self._folder = address, folder
        name = part.name if part.card else None
        with self._explained():
            # Local files alone, in a folder without scripts; no copy in the library's own format is written.
            self._splits: Mapping[str, Any] = datasets.load_dataset(
                str(folder), name, streaming=True, cache_dir=str(cache)
            )

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(map(str, self._splits))

    def split(self, key: str, stated: str, usual: Sequence[str]) -> str:
        """Return the split for training or for tests: the one that is stated, or recognised.

        Raises:
            UvlpError: there is none of this name, or none is recognised.
        """
        found = next((name for name in ([stated] if stated else usual) if name in self.splits), None)
        if found is None:
            raise UvlpError(
                f"hf:{self._address.title} has no split {stated or ' or '.join(usual)}",
                got=", ".join(self.splits),
                fix=f"name one behind the address: ,{key}=SPLIT",
            )
        return found

    def features(self, split: str) -> Mapping[str, Any] | None:
        """Return the types of the columns."""
        features: Mapping[str, Any] | None = self._splits[split].features
        return features

    def rows(self, split: str, columns: Columns) -> Iterator[Row]:
        """Yield the rows in their order; images are not decoded.

        Raises:
            UvlpError: a damaged file, or a row without an image.
        """
        import datasets

        wanted = [name for name in (columns.image, columns.label, columns.caption) if name]
        stream = self._splits[split].select_columns(wanted)
        if type(stream.features[columns.image]).__name__ == "Image":
            stream = stream.cast_column(columns.image, datasets.Image(decode=False))
        items = iter(stream)
        for number in range(2**63):
            with self._explained():
                item = next(items, None)
            if item is None:
                return
            content = self._content(item[columns.image])
            if not content:
                raise UvlpError(f"hf:{self._address.title}: row {number} of {split} has no image")
            yield Row(content, item[columns.label], _captions(item.get(columns.caption)))

    def _content(self, value: Any) -> bytes:
        """Return the bytes of an image, of which a row may hold the path; only in the repository."""
        if isinstance(value, Mapping) and value.get("bytes") is None and value.get("path"):
            path = os.path.normpath(str(value["path"]))
            if Path(path).is_relative_to(self._folder):
                return Path(path).read_bytes()
        content = value.get("bytes") if isinstance(value, Mapping) else value
        return content if isinstance(content, bytes) else b""

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the library and its readers raise exceptions of many types
            got = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            what = f"the library `datasets` cannot read hf:{self._address.title}"
            fix = "correct the choices behind its address, or fetch it again"
            raise UvlpError(what, got=got, fix=fix) from error


def _captions(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    return tuple(text for text in texts if isinstance(text, str) and text.strip())
