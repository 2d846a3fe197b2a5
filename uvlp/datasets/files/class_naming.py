"""Which class a folder's name means: its id, its readable name, or its position among the ids."""

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
SEPARATOR = re.compile("([-_. ]+)")


@dataclass(frozen=True, slots=True)
class Assignment:
    """Folders of all classes: how they are named, the folder by class id, and what to tell the user."""

    naming: str
    folder_of: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """The names that folders of a dataset's classes may have."""

    classes: tuple[ClassInfo, ...]

    @cached_property
    def alphabetical(self) -> list[ClassInfo]:
        """What ``00000``, ``00001``, ... mean, as in torchvision's folders: sorted by id as a string."""
        return sorted(self.classes, key=lambda info: info.id)

    @cached_property
    def _by_id(self) -> dict[str, list[ClassInfo]]:
        return {nfc(info.id): [info] for info in self.classes}

    @cached_property
    def _by_index(self) -> dict[str, list[ClassInfo]]:
        found = {f"{index:05d}": [info] for index, info in enumerate(self.alphabetical)}
        # A plain 3 beside an id 3 could mean either.
        if not any(NUMBER.fullmatch(info.id) for info in self.classes):
            found |= {str(index): [info] for index, info in enumerate(self.alphabetical)}
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[ClassInfo]]:
        return _by_each(self.classes, _spellings)

    @cached_property
    def _by_folded_name(self) -> dict[str, list[ClassInfo]]:
        return _by_each(self.classes, lambda info: {nfc(name.casefold()) for name in _spellings(info)})

    def known(self, folders: Iterable[str]) -> int:
        """How many of ``folders`` mean a class in any naming."""
        return sum(any(self.meanings(naming, folder) for naming in NAMINGS) for folder in folders)

    def fit(self, folders: Sequence[str]) -> bool:
        """Whether half of ``folders`` or more mean classes, and half of all classes are among them."""
        return 2 * self.known(folders) >= max(len(folders), len(self.classes))

    def begins(self, file: str) -> str:
        """The class folder that a file's name begins with, e.g. ``n01440764`` of ``n01440764_0.png``; "".

        A bare number is no class unless it is the id of one: images are numbered too.
        """
        parts = SEPARATOR.split(file.rpartition(".")[0])
        heads = ["".join(parts[:end]) for end in range(len(parts) - 2, 0, -2)]
        known = (head for head in heads if len(head) > 4 or not NUMBER.fullmatch(head) or head in self._by_id)
        return next((head for head in known if self.known([head])), "")

    def meanings(self, naming: str, folder: str) -> list[ClassInfo]:
        """Classes that ``folder`` may mean; more than one if their names are alike."""
        folder = nfc(folder)
        if naming == "id":
            return self._by_id.get(folder, [])
        if naming == "index":
            return self._by_index.get(folder, [])
        return self._by_name.get(folder) or self._by_folded_name.get(nfc(folder.casefold()), [])

    def differs_in_case(self, folder: str) -> bool:
        """Whether a readable name is met only with other capitals."""
        return nfc(folder) not in self._by_name

    @property
    def allowed(self) -> str:
        """The three namings, for messages."""
        first, last = self.alphabetical[0], len(self.classes) - 1
        return f"ids such as {first.id}, names such as {first.name!r}, or positions 00000 to {last:05d}"


def _spellings(info: ClassInfo) -> set[str]:
    """The name, all synonyms in one ("tench, Tinca tinca") and each of them, with blanks and with ``_``."""
    several = {info.name, info.synonyms}
    names = {nfc(name.strip()) for text in several for name in (text, *text.split(","))} - {""}
    return names | {name.replace(" ", "_") for name in names}


def _by_each(
    classes: Iterable[ClassInfo], names: Callable[[ClassInfo], Iterable[str]]
) -> dict[str, list[ClassInfo]]:
    found: dict[str, list[ClassInfo]] = {}
    for info in classes:
        for name in names(info):
            found.setdefault(name, []).append(info)
    return found


def label(info: ClassInfo) -> str:
    """A class for messages: its id, with the readable name if that is another word."""
    return info.id if info.id == info.name else f"{info.id} ({info.name})"


def assign(names: Names, folders: Sequence[str], where: str) -> Assignment:
    """Give every class its folder; all folders are named in one way.

    Ids come before the other namings, so a folder that is one class's id is never read as a name.

    Args:
        names: of the dataset's classes.
        folders: names of the folders in ``where``.
        where: for messages.

    Raises:
        UvlpError: unknown folders, mixed naming, a name that fits two classes, two folders for one class,
            or a class without a folder.
    """
    fitting = [naming for naming in NAMINGS if all(names.meanings(naming, folder) for folder in folders)]
    if not fitting:
        raise _unfitting(names, folders, where)
    meant = {folder: _meant(names, fitting, folder, where) for folder in folders}
    _check_complete(names, meant, where)
    folder_of = {info.id: folder for folder, info in meant.items()}
    return Assignment(fitting[0], folder_of, tuple(_notes(names, fitting[0], folders)))


def _unfitting(names: Names, folders: Sequence[str], where: str) -> UvlpError:
    unknown = [folder for folder in folders if not names.known([folder])]
    if unknown:
        return UvlpError(
            f"{where}: {len(unknown)} of {len(folders)} folders are no class of the dataset",
            got=first_few(unknown),
            allowed=names.allowed,
            fix="move them away, or choose the dataset that they belong to",
        )
    met: dict[str, list[str]] = {}
    for folder in folders:
        naming = next(naming for naming in NAMINGS if names.meanings(naming, folder))
        met.setdefault(naming, []).append(folder)
    return UvlpError(
        f"{where}: class folders are named in different ways",
        got="; ".join(f"by {naming}: {first_few(found)}" for naming, found in met.items()),
        allowed="one naming for all folders",
        fix="rename them all to the class ids",
    )


def _meant(names: Names, fitting: Sequence[str], folder: str, where: str) -> ClassInfo:
    namings = fitting[:1] if fitting[0] == "id" else fitting
    found = {info.id: info for naming in namings for info in names.meanings(naming, folder)}
    if len(found) > 1:
        raise UvlpError(
            f"{where}: the name of a folder fits {len(found)} classes",
            got=folder,
            allowed=" or ".join(label(info) for info in found.values()),
            fix="rename all folders to the class ids",
        )
    return next(iter(found.values()))


def _check_complete(names: Names, meant: Mapping[str, ClassInfo], where: str) -> None:
    counts = Counter(info.id for info in meant.values())
    twice = [folder for folder, info in meant.items() if counts[info.id] > 1]
    if twice:
        raise UvlpError(
            f"{where}: several folders for one class",
            got=first_few(twice),
            allowed=f"one folder for {label(meant[twice[0]])}",
            fix="put the images into one of them",
        )
    lacking = [label(info) for info in names.classes if info.id not in counts]
    if lacking:
        raise UvlpError(
            f"{where}: no folder for {len(lacking)} of {len(names.classes)} classes of the dataset",
            got=f"nothing for {first_few(lacking)}",
            allowed="a folder with images for every class",
            fix="add the folders, or choose the dataset that has these classes only",
        )


def _notes(names: Names, naming: str, folders: Sequence[str]) -> Iterable[str]:
    spelt = {name for info in names.classes for name in (info.id, info.name, info.synonyms)}
    other_form = [folder for folder in folders if nfc(folder) != folder and folder not in spelt]
    if other_form:
        yield f"class folders: {DIFFERENT}: {first_few(other_form)}; they are taken as equal"
    if naming == "index":
        first, last = names.alphabetical[0], names.alphabetical[-1]
        yield (
            "folder names are read as positions in the alphabetical order of the class ids: "
            f"0 is {label(first)}, {len(folders) - 1} is {label(last)}"
        )
    if naming == "name":
        other = [folder for folder in folders if names.differs_in_case(folder)]
        pairs = [f"{folder} is {label(names.meanings(naming, folder)[0])}" for folder in other]
        if pairs:
            yield f"folder names differ from the class names in capitals: {first_few(pairs)}"
