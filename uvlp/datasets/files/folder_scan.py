"""Find the images of class folders, and of `PATH/train/<class>/` and `PATH/val/<class>/`, unopened."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uvlp.artifacts.checks.store_mark import MARK
from uvlp.artifacts.dataset import SPLITS
from uvlp.captioners.texts.tables import TABLES, UNREAD
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import DIFFERENT, nfc, other_form, twins
from uvlp.core.wording import first_few
from uvlp.datasets.files.folder_remarks import Remarks, is_leftover
from uvlp.datasets.files.images.image_files import EXTENSIONS
from uvlp.datasets.files.nearby_folders import did_you_mean, folder_names, nearby

OTHER_NAMES = {"train": ("training",), "val": ("test", "valid", "validation", "testing", "eval")}
LAYOUT = "PATH/train/<class>/<images> and PATH/val/<class>/<images>"


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a dataset folder.

    Attributes:
        classes: folder names in plain string order, in NFC as all names are.
        files: per split and class the image names, e.g. ``files["train"][0][0] == "train/cat/1.png"``.
        notes: lines that the user should read.
        sources: where an image lies if its name says something else.
        others: files in class folders without an image extension, below the root, as on the disk.
    """

    classes: tuple[str, ...]
    files: dict[str, tuple[tuple[str, ...], ...]]
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def source(self, name: str) -> str:
        """Path of an image below the root."""
        return self.sources.get(name, name)


def scan(root: Path) -> Listing:
    """List classes and images; the order of files is that of evaluation.md 1.3.

    Hidden files and folders are passed over. Links are followed.

    Raises:
        UvlpError: the folder has another layout, or something in it cannot be read.
    """
    _check_layout(root)
    remarks = Remarks()
    train, val = (_class_names(root / split, remarks) for split in SPLITS)
    if [*train] != [*val]:
        only_train, only_val = _without(train, val), _without(val, train)
        raise UvlpError(
            f"{root}: train/ and val/ hold different classes",
            got=f"only in train: {only_train}; only in val: {only_val}",
            fix="give both the same class folders",
        )
    _check_level(root, train)
    found = _Found(root, remarks)
    fix = "add images, or remove the class from train/ and val/"
    for split, names in zip(SPLITS, (train, val), strict=True):
        found.add(split, [f"{split}/{name}" for name in names.values()], fix)
    return found.listing(tuple(train), _name_notes(train, val))


def _check_level(root: Path, classes: Mapping[str, str]) -> None:
    """Refuse one class without images of its own but with several folders: these are the classes."""
    for name in classes.values() if len(classes) == 1 else ():
        entries = visible_entries(root / "train" / name)
        inner = [entry.name for entry in entries if entry.is_dir()]
        if len(inner) > 1 and len(inner) == len(entries):
            raise UvlpError(
                f"{root}: one folder too many around the classes",
                got=f"train/{name}/{inner[0]}",
                allowed=LAYOUT,
                fix=f"move the folders of train/{name} into train/ and those of val/{name} into val/",
            )


def _name_notes(train: Mapping[str, str], val: Mapping[str, str]) -> Iterator[str]:
    """What is odd about the names of the class folders."""
    differ = [name for name in train if train[name] != val[name]]
    if differ:
        yield f"train/ and val/: {DIFFERENT}: {first_few(differ)}; they are taken as equal"
    folded = Counter(name.casefold() for name in train)
    alike = [name for name in train if folded[name.casefold()] > 1]
    if alike:
        yield f"class folders differ in capitals only, and are classes of their own: {first_few(alike)}"


def scan_classes(
    root: Path,
    classes: Sequence[str],
    what: str,
    *,
    strict: bool,
    splits: Sequence[str] = SPLITS,
    inner: str = "",
) -> Listing:
    """List the images of ``classes`` alone.

    Args:
        root: holds `train/` and `val/`.
        classes: folder names, in the order of the labels.
        what: the dataset, for messages.
        strict: other class folders are an error; else they are passed over.
        splits: folders to list.
        inner: a folder in every class folder in which the images lie by rights.

    Raises:
        UvlpError: a class has no folder or no images, or there are folders of other classes.
    """
    found = _Found(root, Remarks(), inner)
    for split in splits:
        folders = _check_classes(root / split, classes, what, strict, found.remarks)
        paths = [f"{split}/{folders[name]}" for name in classes]
        found.add(split, paths, f"copy the images of {what} again")
    return found.listing(tuple(classes))


class _Found:
    """The images of a dataset while its folders are walked."""

    def __init__(self, root: Path, remarks: Remarks, inner: str = "") -> None:
        self._root, self.remarks, self._inner = root, remarks, inner
        self._files: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._sources: dict[str, str] = {}

    def add(self, split: str, folders: Sequence[str], fix: str) -> None:
        """List the images of a split; ``folders`` as they are called on the disk."""
        found = [image_names(self._root, folder, fix, self.remarks, self._inner) for folder in folders]
        self._files[split] = tuple(tuple(map(nfc, paths)) for paths in found)
        self._sources |= {nfc(path): path for paths in found for path in paths if nfc(path) != path}

    def listing(self, classes: tuple[str, ...], notes: Iterable[str] = ()) -> Listing:
        """All of it."""
        notes, others = (*notes, *self.remarks.notes()), tuple(self.remarks.other_files)
        return Listing(classes, self._files, notes, self._sources, others)


def _check_classes(
    folder: Path, classes: Sequence[str], what: str, strict: bool, remarks: Remarks
) -> dict[str, str]:
    """The folders by their names in NFC."""
    entries = visible_entries(folder, remarks)
    folders = {nfc(entry.name): entry.name for entry in entries if entry.is_dir()}
    lacking = [name for name in classes if name not in folders]
    loose = [entry.name for entry in entries if entry.name.lower().endswith(EXTENSIONS)]
    if lacking and loose and not folders:
        raise UvlpError(
            f"{folder} holds images without class folders",
            got=first_few(loose),
            allowed=f"{folder.name}/<class>/<images>, classes such as {classes[0]}",
            fix="sort them into class folders; for ILSVRC, torchvision.datasets.ImageNet or valprep.sh do it",
        )
    if lacking:
        raise UvlpError(
            f"{what}: {folder} has no folder for {len(lacking)} of {len(classes)} classes",
            got=f"nothing for {first_few(lacking)}",
            fix="copy the missing folders, or point --data elsewhere",
        )
    foreign = sorted(folders.keys() - set(classes))
    if strict and foreign:
        raise UvlpError(
            f"{what}: {folder} holds {len(foreign)} folders of no class of it",
            got=first_few(foreign),
            allowed=first_few(classes),
            fix="move them away, or choose another dataset or --variant",
        )
    return folders


def _without(names: Iterable[str], others: Iterable[str]) -> str:
    return first_few(name for name in names if name not in others) or "none"


def check_folder(path: Path, what: str, layout: str) -> None:
    """Refuse a path that is not there or is no folder.

    Raises:
        UvlpError: names ``what`` it should be and the ``layout`` that is allowed.
    """
    if os.path.isdir(path):
        return
    try:
        os.stat(path)
        state = "not a folder"
    except FileNotFoundError:
        state = "not found"
    except OSError as error:
        state = (error.strerror or str(error)).lower()
    other = other_form(path)
    near = difflib.get_close_matches(path.name, folder_names(path.parent), n=1, cutoff=0.8)
    fix = did_you_mean([path.parent / name for name in near]) or None
    if other:
        fix = f"did you mean {other}? {DIFFERENT}"
    raise UvlpError(f"{what}: {state}", got=str(path), allowed=layout, fix=fix)


def _check_layout(root: Path) -> None:
    check_folder(root, "dataset folder", LAYOUT)
    folders = [entry.name for entry in visible_entries(root) if entry.is_dir()]
    lacking = [split for split in SPLITS if split not in folders]
    if not lacking:
        return
    raise UvlpError(
        f"{root} has no folder {' and no folder '.join(lacking)}",
        got=first_few(folders) or "no folders",
        allowed=LAYOUT,
        fix=did_you_mean(nearby(root, holds_classes), "folder:{}") or _renaming(folders, lacking) or None,
    )


def _renaming(folders: Sequence[str], lacking: Sequence[str]) -> str:
    """Which folders are splits under another name."""
    found = {
        name: split
        for split in lacking
        for name in folders
        if name.casefold() in (split, *OTHER_NAMES[split])
    }
    return "rename " + " and ".join(f"{name} to {split}" for name, split in found.items()) if found else ""


def holds_classes(folder: Path) -> bool:
    """Whether there are `train/` and `val/` with folders in `train/`."""
    return has_splits(folder) and bool(folder_names(folder / "train"))


def has_splits(folder: Path) -> bool:
    """Whether there are folders `train/` and `val/`."""
    return all((folder / split).is_dir() for split in SPLITS)


def visible_entries(folder: Path | str, remarks: Remarks | None = None) -> list[os.DirEntry[str]]:
    """The entries of a folder in the string order of their names in NFC.

    Hidden entries, and those that systems leave behind, are passed over and counted in ``remarks``.

    Raises:
        UvlpError: the folder cannot be read, a name in it is no text, or two names look the same.
    """
    try:
        with os.scandir(folder) as entries:
            every = sorted(entries, key=lambda e: nfc(e.name))
    except OSError as error:
        raise UvlpError(
            f"cannot read the folder {folder}", got=error.strerror, fix="allow reading"
        ) from error
    visible = []
    for entry in every:
        if not is_leftover(entry.name, entry.is_dir()):
            visible.append(entry)
        elif remarks is not None:
            remarks.leave_out(entry)
    for entry in visible:
        if not entry.name.isprintable():
            raise _unreadable(folder, entry.name)
    if alike := twins(entry.name for entry in visible):
        raise UvlpError(f"{folder}: {DIFFERENT}", got=alike, fix="keep one of them, or rename one")
    return visible


def _unreadable(folder: Path | str, name: str) -> UvlpError:
    """The error for a name that cannot be written into files; it may be the locale that cannot read it."""
    try:
        read = os.fsencode(name).decode("utf-8")
    except UnicodeError:
        read = name
    if read.isprintable():
        what = f"file name in {folder} beyond the locale's characters"
        return UvlpError(what, got=read, fix="set a locale of UTF-8, e.g. LC_ALL=C.UTF-8")
    return UvlpError(f"file name in {folder} is not plain UTF-8 text", got=name, fix="rename it")


def _class_names(folder: Path, remarks: Remarks) -> dict[str, str]:
    """The class folders' names on the disk, by the same in NFC."""
    entries = visible_entries(folder, remarks)
    stray = [e.name for e in entries if not e.is_dir() and e.name.lower() not in (*TABLES, *UNREAD)]
    if stray:
        raise UvlpError(
            f"{folder} holds files beside the class folders",
            got=first_few(stray),
            allowed=f"class folders and {first_few(TABLES)}",
            fix="move images into the folder of their class, other files away",
        )
    names = {nfc(e.name): e.name for e in entries if e.is_dir()}
    if not names:
        raise UvlpError(f"{folder} has no class folders", allowed=LAYOUT)
    return names


def image_names(root: Path, relative: str, fix: str, remarks: Remarks, inner: str = "") -> tuple[str, ...]:
    """Images of one class folder below ``root``, as on the disk, in the order of evaluation.md 1.3.

    Args:
        root: what the names are relative to.
        relative: the class folder, below ``root``.
        fix: what to do about a class folder without images.
        remarks: told about everything that is no image of the class.
        inner: a folder in every class folder in which the images lie by rights.

    Raises:
        UvlpError: there are no images, or a link leads nowhere or in a circle.
    """
    # Sorted by the folder's whole path, as sorted(os.walk(...)) does in the published loader.
    top, found, others = f"{root}/{relative}", list[str](), list[str]()
    below = len(str(root)) + 1
    for folder, files in sorted(_walk(top, frozenset(), remarks), key=lambda pair: nfc(pair[0])):
        images = [entry for entry in files if entry.name.lower().endswith(EXTENSIONS)]
        for entry in images:
            if not entry.is_file():
                raise UvlpError("not a file, or a link to nothing", got=entry.path, fix="remove it")
        names = [entry.path[below:] for entry in images]
        found += names
        others += [e.path[below:] for e in files if not e.name.lower().endswith(EXTENSIONS)]
        if folder not in (top, f"{top}/{inner}"):
            remarks.nested(names)
    if not found:
        raise UvlpError(
            f"class folder without images: {root / relative}",
            got=f"{len(others)} other files" if others else "an empty folder",
            allowed=" ".join(EXTENSIONS),
            fix=fix,
        )
    remarks.others(others)
    return tuple(found)


def _walk(
    folder: str, above: frozenset[tuple[int, int]], remarks: Remarks
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Every folder from ``folder`` down with its files; ``above`` are the folders on the way here."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise UvlpError(
            "a folder holds a link to a folder that it lies in", got=folder, fix="remove the link"
        )
    entries = visible_entries(folder, remarks)
    if any(entry.name == MARK for entry in entries):
        raise UvlpError(
            "a store lies among the images of a dataset", got=folder, fix="move it to another place"
        )
    yield folder, [entry for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry.path, above | {here}, remarks)
