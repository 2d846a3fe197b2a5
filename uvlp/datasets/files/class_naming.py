"""Match folder names to classes: by id, by readable name, or by index."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import DIFFERENT, nfc
from uvlp.core.wording import first_few

NAMINGS = ("id", "name", "index")
NUMBER = re.compile("[0-9]+")
LISTED = 10
"""Classes that the note about indices lists; of more the first and the last."""
SEPARATOR = re.compile("([-_. ]+)")


@dataclass(frozen=True, slots=True)
class Assignment:
    """The folders of all classes: their naming, the folder by class id in index order, notes for the user."""

    naming: str
    folder_of: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """The folder names that are accepted for a dataset's classes, which are in index order."""

    classes: tuple[ClassInfo, ...]

    @cached_property
    def _by_id(self) -> dict[str, list[ClassInfo]]:
        return {nfc(info.id): [info] for info in self.classes}

    @cached_property
    def _by_index(self) -> dict[str, list[ClassInfo]]:
        by_index = {f"{info.index:05d}": [info] for info in self.classes}
        # If ids are numbers too, 3 would be ambiguous.
        if not any(NUMBER.fullmatch(info.id) for info in self.classes):
            by_index |= {str(info.index): [info] for info in self.classes}
        return by_index

    @cached_property
    def _by_name(self) -> dict[str, list[ClassInfo]]:
        return _by_each(self.classes, _spellings)

    @cached_property
    def _by_folded_name(self) -> dict[str, list[ClassInfo]]:
        return _by_each(self.classes, lambda info: {nfc(name.casefold()) for name in _spellings(info)})

    def known(self, folders: Iterable[str]) -> int:
        """The number of ``folders`` that match a class in any naming."""
        return sum(any(self.matches(naming, folder) for naming in NAMINGS) for folder in folders)

    def fit(self, folders: Sequence[str]) -> bool:
        """Return whether at least half of ``folders`` match classes, and half of the classes are matched."""
        return 2 * self.known(folders) >= max(len(folders), len(self.classes))

    def class_prefix(self, file: str) -> str:
        """The class that a file name starts with, e.g. ``n01440764`` of ``n01440764_0.png``, or "".

        A bare number only counts if it is a class id, because images are numbered too.
        """
        parts = SEPARATOR.split(file.rpartition(".")[0])
        prefixes = ["".join(parts[:end]) for end in range(len(parts) - 2, 0, -2)]
        names = (
            text for text in prefixes if len(text) > 4 or not NUMBER.fullmatch(text) or text in self._by_id
        )
        return next((name for name in names if self.known([name])), "")

    def matches(self, naming: str, folder: str) -> list[ClassInfo]:
        """The classes that ``folder`` matches; several if their names coincide."""
        folder = nfc(folder)
        if naming == "id":
            return self._by_id.get(folder, [])
        if naming == "index":
            return self._by_index.get(folder, [])
        return self._by_name.get(folder) or self._by_folded_name.get(nfc(folder.casefold()), [])

    def differs_in_case(self, folder: str) -> bool:
        """Return whether ``folder`` matches a readable name only when case is ignored."""
        return nfc(folder) not in self._by_name

    @property
    def allowed(self) -> str:
        """The three accepted namings, for messages."""
        first, last = self.classes[0], len(self.classes) - 1
        return f"ids such as {first.id}, names such as {first.name!r}, or indices 00000 to {last:05d}"


def _spellings(info: ClassInfo) -> set[str]:
    """The name, the joined synonyms ("tench, Tinca tinca") and each synonym, with spaces or ``_``."""
    several = {info.name, info.synonyms}
    names = {nfc(name.strip()) for text in several for name in (text, *text.split(","))} - {""}
    return names | {name.replace(" ", "_") for name in names}


def _by_each(
    classes: Iterable[ClassInfo], names: Callable[[ClassInfo], Iterable[str]]
) -> dict[str, list[ClassInfo]]:
    classes_of: dict[str, list[ClassInfo]] = {}
    for info in classes:
        for name in names(info):
            classes_of.setdefault(name, []).append(info)
    return classes_of


def label(info: ClassInfo) -> str:
    """A class for messages: its id, with the readable name if they differ."""
    return info.id if info.id == info.name else f"{info.id} ({info.name})"


def assign(names: Names, folders: Sequence[str], where: str) -> Assignment:
    """Assign a folder to every class; all folders must use the same naming.

    Ids take precedence, so a folder named by an id is never read as a name.

    Args:
        names: of the dataset's classes.
        folders: names of the folders in ``where``.
        where: path for messages.

    Raises:
        UvlpError: unknown folders, mixed namings, a name that matches two classes, two folders for a class,
            or a class without a folder.
    """
    possible = [naming for naming in NAMINGS if all(names.matches(naming, folder) for folder in folders)]
    if not possible:
        raise _mismatch(names, folders, where)
    class_of = {folder: _class_of(names, possible, folder, where) for folder in folders}
    _check_complete(names, class_of, where)
    in_order = sorted(class_of.items(), key=lambda pair: pair[1].index)
    folder_of = {info.id: folder for folder, info in in_order}
    return Assignment(possible[0], folder_of, tuple(_notes(names, possible[0], folders)))


def _mismatch(names: Names, folders: Sequence[str], where: str) -> UvlpError:
    """The error for folders that no single naming explains."""
    unknown = [folder for folder in folders if not names.known([folder])]
    if unknown:
        return UvlpError(
            f"{where}: {len(unknown)} of {len(folders)} folders are not classes of the dataset",
            got=first_few(unknown),
            allowed=names.allowed,
            fix="move them elsewhere, or choose the dataset that they belong to",
        )
    by_naming: dict[str, list[str]] = {}
    for folder in folders:
        naming = next(naming for naming in NAMINGS if names.matches(naming, folder))
        by_naming.setdefault(naming, []).append(folder)
    return UvlpError(
        f"{where}: the class folders mix several namings",
        got="; ".join(f"by {naming}: {first_few(matches)}" for naming, matches in by_naming.items()),
        allowed="one naming for all folders",
        fix="rename them all to the class ids",
    )


def _class_of(names: Names, possible: Sequence[str], folder: str, where: str) -> ClassInfo:
    namings = possible[:1] if possible[0] == "id" else possible
    matches = {info.id: info for naming in namings for info in names.matches(naming, folder)}
    if len(matches) > 1:
        raise UvlpError(
            f"{where}: the name of a folder matches {len(matches)} classes",
            got=folder,
            allowed=" or ".join(label(info) for info in matches.values()),
            fix="rename all folders to the class ids",
        )
    return next(iter(matches.values()))


def _check_complete(names: Names, class_of: Mapping[str, ClassInfo], where: str) -> None:
    counts = Counter(info.id for info in class_of.values())
    twice = [folder for folder, info in class_of.items() if counts[info.id] > 1]
    if twice:
        raise UvlpError(
            f"{where}: several folders for one class",
            got=first_few(twice),
            allowed=f"one folder for {label(class_of[twice[0]])}",
            fix="merge the images into one of them",
        )
    missing = [label(info) for info in names.classes if info.id not in counts]
    if missing:
        raise UvlpError(
            f"{where}: no folder for {len(missing)} of {len(names.classes)} classes of the dataset",
            got=f"nothing for {first_few(missing)}",
            allowed="a folder with images for every class",
            fix="add the folders, or choose a dataset that has only these classes",
        )


def _notes(names: Names, naming: str, folders: Sequence[str]) -> Iterable[str]:
    spellings = {name for info in names.classes for name in (info.id, info.name, info.synonyms)}
    other_form = [folder for folder in folders if nfc(folder) != folder and folder not in spellings]
    if other_form:
        yield f"class folders: {DIFFERENT}: {first_few(other_form)}; they are treated as equal"
    if naming == "index":
        listed = names.classes if len(names.classes) <= LISTED else (names.classes[0], names.classes[-1])
        pairs = [f"{info.index} is {label(info)}" for info in listed]
        yield f"folder names are read as indices of the dataset's classes: {', '.join(pairs)}"
    if naming == "name":
        differing = [folder for folder in folders if names.differs_in_case(folder)]
        pairs = [f"{folder} is {label(names.matches(naming, folder)[0])}" for folder in differing]
        if pairs:
            yield f"folder names differ from the class names in case: {first_few(pairs)}"
