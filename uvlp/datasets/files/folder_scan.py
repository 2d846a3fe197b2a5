"""List the images of class folders, of `PATH/train/<class>/` and `PATH/val/<class>/`, without opening any."""

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
    """The content of a dataset folder.

    Attributes:
        classes: folder names in string order, in NFC like all names.
        files: per split and class the image names, e.g. ``files["train"][0][0] == "train/cat/1.png"``.
        notes: lines to show to the user.
        sources: the path of an image on disk, where it is not its name.
        others: files in class folders without an image extension, as paths on disk below the root.
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
    """List classes and images, in the order of evaluation.md 1.3.

    Hidden files and folders are skipped. Links are followed.

    Raises:
        UvlpError: the folder has a different layout, or something in it cannot be read.
    """
    _check_layout(root)
    remarks = Remarks()
    train, val = (_class_names(root / split, remarks) for split in SPLITS)
    if [*train] != [*val]:
        only_train, only_val = _without(train, val), _without(val, train)
        raise UvlpError(
            f"{root}: train/ and val/ have different classes",
            got=f"only in train: {only_train}; only in val: {only_val}",
            fix="create the same class folders in both",
        )
    _check_level(root, train)
    scanner = _Scanner(root, remarks)
    fix = "add images, or delete the class from train/ and val/"
    for split, names in zip(SPLITS, (train, val), strict=True):
        scanner.add(split, [f"{split}/{name}" for name in names.values()], fix)
    return scanner.listing(tuple(train), _name_notes(train, val))


def _check_level(root: Path, classes: Mapping[str, str]) -> None:
    """Refuse a single class that only contains several folders: these are the classes."""
    for name in classes.values() if len(classes) == 1 else ():
        entries = visible_entries(root / "train" / name)
        inner = [entry.name for entry in entries if entry.is_dir()]
        if len(inner) > 1 and len(inner) == len(entries):
            raise UvlpError(
                f"{root}: an extra folder around the class folders",
                got=f"train/{name}/{inner[0]}",
                allowed=LAYOUT,
                fix=f"move the folders of train/{name} into train/ and those of val/{name} into val/",
            )


def _name_notes(train: Mapping[str, str], val: Mapping[str, str]) -> Iterator[str]:
    """Notes on unusual names of class folders."""
    differ = [name for name in train if train[name] != val[name]]
    if differ:
        yield f"train/ and val/: {DIFFERENT}: {first_few(differ)}; they are treated as equal"
    folded = Counter(name.casefold() for name in train)
    alike = [name for name in train if folded[name.casefold()] > 1]
    if alike:
        yield f"class folders that differ only in case are different classes: {first_few(alike)}"


def scan_classes(
    root: Path,
    classes: Sequence[str],
    what: str,
    *,
    strict: bool,
    splits: Sequence[str] = SPLITS,
    inner: str = "",
) -> Listing:
    """List only the images of ``classes``.

    Args:
        root: contains `train/` and `val/`.
        classes: folder names, in the order of the labels.
        what: the dataset, for messages.
        strict: whether other class folders are an error; else they are skipped.
        splits: folders to list.
        inner: the subfolder of a class folder where its images are expected.

    Raises:
        UvlpError: a class has no folder or no images, or there are folders of other classes.
    """
    scanner = _Scanner(root, Remarks(), inner)
    for split in splits:
        folders = _check_classes(root / split, classes, what, strict, scanner.remarks)
        paths = [f"{split}/{folders[name]}" for name in classes]
        scanner.add(split, paths, f"copy the images of {what} again")
    return scanner.listing(tuple(classes))


class _Scanner:
    """Collects the images of a dataset while its folders are walked."""

    def __init__(self, root: Path, remarks: Remarks, inner: str = "") -> None:
        self._root, self.remarks, self._inner = root, remarks, inner
        self._files: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._sources: dict[str, str] = {}

    def add(self, split: str, folders: Sequence[str], fix: str) -> None:
        """List the images of a split; ``folders`` are paths on disk below the root."""
        images = [image_names(self._root, folder, fix, self.remarks, self._inner) for folder in folders]
        self._files[split] = tuple(tuple(map(nfc, paths)) for paths in images)
        self._sources |= {nfc(path): path for paths in images for path in paths if nfc(path) != path}

    def listing(self, classes: tuple[str, ...], notes: Iterable[str] = ()) -> Listing:
        """The collected images and notes."""
        notes, others = (*notes, *self.remarks.notes()), tuple(self.remarks.other_files)
        return Listing(classes, self._files, notes, self._sources, others)


def _check_classes(
    folder: Path, classes: Sequence[str], what: str, strict: bool, remarks: Remarks
) -> dict[str, str]:
    """The folder names on disk, by their names in NFC."""
    entries = visible_entries(folder, remarks)
    folders = {nfc(entry.name): entry.name for entry in entries if entry.is_dir()}
    missing = [name for name in classes if name not in folders]
    unsorted = [entry.name for entry in entries if entry.name.lower().endswith(EXTENSIONS)]
    if missing and unsorted and not folders:
        raise UvlpError(
            f"{folder} contains images without class folders",
            got=first_few(unsorted),
            allowed=f"{folder.name}/<class>/<images>, classes such as {classes[0]}",
            fix="sort them into class folders; for ILSVRC, use torchvision.datasets.ImageNet or valprep.sh",
        )
    if missing:
        raise UvlpError(
            f"{what}: {folder} has no folder for {len(missing)} of {len(classes)} classes",
            got=f"nothing for {first_few(missing)}",
            fix="copy the missing folders, or choose another folder with --data",
        )
    foreign = sorted(folders.keys() - set(classes))
    if strict and foreign:
        raise UvlpError(
            f"{what}: {folder} contains {len(foreign)} folders that are not its classes",
            got=first_few(foreign),
            allowed=first_few(classes),
            fix="move them elsewhere, or choose another dataset or --variant",
        )
    return folders


def _without(names: Iterable[str], others: Iterable[str]) -> str:
    return first_few(name for name in names if name not in others) or "none"


def check_folder(path: Path, what: str, layout: str) -> None:
    """Refuse a path that does not exist or is not a folder.

    Raises:
        UvlpError: states ``what`` it should be and the allowed ``layout``.
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
    missing = [split for split in SPLITS if split not in folders]
    if not missing:
        return
    raise UvlpError(
        f"{root} has no folder {' and no folder '.join(missing)}",
        got=first_few(folders) or "no folders",
        allowed=LAYOUT,
        fix=did_you_mean(nearby(root, holds_classes), "folder:{}") or _renaming(folders, missing) or None,
    )


def _renaming(folders: Sequence[str], missing: Sequence[str]) -> str:
    """The fix for splits under another name; else the empty string."""
    splits = {
        name: split
        for split in missing
        for name in folders
        if name.casefold() in (split, *OTHER_NAMES[split])
    }
    return "rename " + " and ".join(f"{name} to {split}" for name, split in splits.items()) if splits else ""


def holds_classes(folder: Path) -> bool:
    """Return whether there are `train/` and `val/`, with folders in `train/`."""
    return has_splits(folder) and bool(folder_names(folder / "train"))


def has_splits(folder: Path) -> bool:
    """Return whether there are folders `train/` and `val/`."""
    return all((folder / split).is_dir() for split in SPLITS)


def visible_entries(folder: Path | str, remarks: Remarks | None = None) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by their names in NFC.

    Hidden entries and leftovers of operating systems are skipped and counted in ``remarks``.

    Raises:
        UvlpError: the folder cannot be read, a name in it is not text, or two names look the same.
    """
    try:
        with os.scandir(folder) as entries:
            every = sorted(entries, key=lambda e: nfc(e.name))
    except OSError as error:
        raise UvlpError(
            f"cannot read the folder {folder}", got=error.strerror, fix="make it readable"
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
    """The error for a name that cannot be stored as text, possibly because of the locale."""
    try:
        text = os.fsencode(name).decode("utf-8")
    except UnicodeError:
        text = name
    if text.isprintable():
        what = f"a file name in {folder} cannot be represented in the locale"
        return UvlpError(what, got=text, fix="set a UTF-8 locale, e.g. LC_ALL=C.UTF-8")
    return UvlpError(f"a file name in {folder} is not plain UTF-8 text", got=name, fix="rename it")


def _class_names(folder: Path, remarks: Remarks) -> dict[str, str]:
    """The names of the class folders on disk, by their names in NFC."""
    entries = visible_entries(folder, remarks)
    stray = [e.name for e in entries if not e.is_dir() and e.name.lower() not in (*TABLES, *UNREAD)]
    if stray:
        raise UvlpError(
            f"{folder} contains files beside the class folders",
            got=first_few(stray),
            allowed=f"class folders and {first_few(TABLES)}",
            fix="move images into their class folders, other files elsewhere",
        )
    names = {nfc(e.name): e.name for e in entries if e.is_dir()}
    if not names:
        raise UvlpError(f"{folder} has no class folders", allowed=LAYOUT)
    return names


def image_names(root: Path, relative: str, fix: str, remarks: Remarks, inner: str = "") -> tuple[str, ...]:
    """The images of a class folder, as paths on disk below ``root``, in the order of evaluation.md 1.3.

    Args:
        root: folder that the names are relative to.
        relative: the class folder, below ``root``.
        fix: the fix in the error for a class folder without images.
        remarks: counts everything that is not an image of the class.
        inner: the subfolder of a class folder where its images are expected.

    Raises:
        UvlpError: there are no images, or a link is broken or circular.
    """
    # Sorted by the full path of the folder, like sorted(os.walk(...)) in the published loader.
    top, every, others = f"{root}/{relative}", list[str](), list[str]()
    below = len(str(root)) + 1
    for folder, files in sorted(_walk(top, frozenset(), remarks), key=lambda pair: nfc(pair[0])):
        images = [entry for entry in files if entry.name.lower().endswith(EXTENSIONS)]
        for entry in images:
            if not entry.is_file():
                raise UvlpError("not a file, or a broken link", got=entry.path, fix="delete it")
        names = [entry.path[below:] for entry in images]
        every += names
        others += [e.path[below:] for e in files if not e.name.lower().endswith(EXTENSIONS)]
        if folder not in (top, f"{top}/{inner}"):
            remarks.nested(names)
    if not every:
        raise UvlpError(
            f"class folder without images: {root / relative}",
            got=f"{len(others)} other files" if others else "an empty folder",
            allowed=" ".join(EXTENSIONS),
            fix=fix,
        )
    remarks.others(others)
    return tuple(every)


def _walk(
    folder: str, above: frozenset[tuple[int, int]], remarks: Remarks
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield ``folder`` and all folders below it with their files; ``above``: the parent folders."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise UvlpError(
            "a folder contains a link to one of its parent folders", got=folder, fix="delete the link"
        )
    entries = visible_entries(folder, remarks)
    if any(entry.name == MARK for entry in entries):
        raise UvlpError("a store is inside a dataset's image folders", got=folder, fix="move it elsewhere")
    yield folder, [entry for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry.path, above | {here}, remarks)
