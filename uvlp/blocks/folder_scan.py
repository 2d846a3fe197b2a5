"""Find the images of class folders, and of `PATH/train/<class>/` and `PATH/val/<class>/`, unopened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset_manifest import SPLITS
from uvlp.blocks.image_files import EXTENSIONS
from uvlp.core.errors import UvlpError
from uvlp.core.wording import first_few

LAYOUT = "PATH/train/<class>/<images> and PATH/val/<class>/<images>"


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a dataset folder.

    Attributes:
        classes: folder names in plain string order.
        files: per split and class the image names, e.g. ``files["train"][0][0] == "train/cat/1.png"``.
        ignored: number of files in class folders without an image extension.
        sources: where an image lies if its name says something else.
    """

    classes: tuple[str, ...]
    files: dict[str, tuple[tuple[str, ...], ...]]
    ignored: int
    sources: Mapping[str, str] = field(default_factory=dict)

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
    train, val = (_class_names(root / split) for split in SPLITS)
    if train != val:
        only_train, only_val = _without(train, val), _without(val, train)
        raise UvlpError(
            f"{root}: train/ and val/ hold different classes",
            got=f"only in train: {only_train}; only in val: {only_val}",
            do="give both the same class folders",
        )
    files, ignored = {}, 0
    for split in SPLITS:
        found = [
            image_names(root, f"{split}/{name}", "add images, or remove the class from train/ and val/")
            for name in train
        ]
        files[split] = tuple(names for names, _ in found)
        ignored += sum(others for _, others in found)
    return Listing(tuple(train), files, ignored)


def scan_classes(
    root: Path, classes: Sequence[str], what: str, *, strict: bool, splits: Sequence[str] = SPLITS
) -> Listing:
    """List the images of ``classes`` alone.

    Args:
        root: holds `train/` and `val/`.
        classes: folder names, in the order of the labels.
        what: the dataset, for messages.
        strict: other class folders are an error; else they are passed over.
        splits: folders to list.

    Raises:
        UvlpError: a class has no folder or no images, or there are folders of other classes.
    """
    files, ignored = {}, 0
    for split in splits:
        _check_classes(root / split, classes, what, strict)
        do = f"copy the images of {what} again"
        found = [image_names(root, f"{split}/{name}", do) for name in classes]
        files[split] = tuple(names for names, _ in found)
        ignored += sum(others for _, others in found)
    return Listing(tuple(classes), files, ignored)


def _check_classes(folder: Path, classes: Sequence[str], what: str, strict: bool) -> None:
    entries = visible_entries(folder)
    folders = {entry.name for entry in entries if entry.is_dir()}
    lacking = [name for name in classes if name not in folders]
    loose = [entry.name for entry in entries if entry.name.lower().endswith(EXTENSIONS)]
    if lacking and loose and not folders:
        raise UvlpError(
            f"{folder} holds images without class folders",
            got=first_few(loose),
            allowed=f"{folder.name}/<class>/<images>, classes such as {classes[0]}",
            do="sort them into class folders; for ILSVRC, torchvision.datasets.ImageNet or valprep.sh do it",
        )
    if lacking:
        raise UvlpError(
            f"{what}: {folder} has no folder for {len(lacking)} of {len(classes)} classes",
            got=f"nothing for {first_few(lacking)}",
            do="copy the missing folders, or point --data elsewhere",
        )
    foreign = sorted(folders - set(classes))
    if strict and foreign:
        raise UvlpError(
            f"{what}: {folder} holds {len(foreign)} folders of no class of it",
            got=first_few(foreign),
            allowed=first_few(classes),
            do="move them away, or choose another dataset or --variant",
        )


def _without(names: list[str], others: list[str]) -> str:
    return first_few(name for name in names if name not in others) or "none"


def check_folder(path: Path, what: str, layout: str) -> None:
    """Refuse a path that is not there or is no folder.

    Raises:
        UvlpError: names ``what`` it should be and the ``layout`` that is allowed.
    """
    if not os.path.isdir(path):
        state = "not a folder" if os.path.exists(path) else "not found"
        raise UvlpError(f"{what}: {state}", got=str(path), allowed=layout)


def _check_layout(root: Path) -> None:
    check_folder(root, "dataset folder", LAYOUT)
    folders = [entry.name for entry in visible_entries(root) if entry.is_dir()]
    lacking = [split for split in SPLITS if split not in folders]
    if not lacking:
        return
    inner = [name for name in folders if all(os.path.isdir(root / name / split) for split in SPLITS)]
    raise UvlpError(
        f"{root} has no folder {' and no folder '.join(lacking)}",
        got=first_few(folders) or "no folders",
        allowed=LAYOUT,
        do=f"did you mean folder:{root / inner[0]}?" if inner else None,
    )


def visible_entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of a folder in plain string order, without hidden ones.

    Raises:
        UvlpError: the folder cannot be read, or a name in it is no text.
    """
    try:
        with os.scandir(folder) as entries:
            visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise UvlpError(f"cannot read the folder {folder}", got=error.strerror, do="allow reading") from error
    for entry in visible:
        if not entry.name.isprintable():
            raise UvlpError(f"file name in {folder} is not plain UTF-8 text", got=entry.name, do="rename it")
    return visible


def _class_names(folder: Path) -> list[str]:
    entries = visible_entries(folder)
    stray = [e.name for e in entries if not e.is_dir() and e.name != metadata_jsonl.FILE]
    if stray:
        raise UvlpError(
            f"{folder} holds files beside the class folders",
            got=first_few(stray),
            allowed=f"class folders and {metadata_jsonl.FILE}",
            do="move images into the folder of their class, other files away",
        )
    names = [e.name for e in entries if e.is_dir()]
    if not names:
        raise UvlpError(f"{folder} has no class folders", allowed=LAYOUT)
    return names


def image_names(root: Path, relative: str, do: str) -> tuple[tuple[str, ...], int]:
    """Images of one class folder in the order of evaluation.md 1.3, and the number of other files.

    Args:
        root: what the names are relative to.
        relative: the class folder, below ``root``.
        do: what to do about a class folder without images.

    Raises:
        UvlpError: there are no images, or a link leads nowhere or in a circle.
    """
    # Sorted by the folder's whole path, as sorted(os.walk(...)) does in the published loader.
    folders = sorted(_walk(f"{root}/{relative}", frozenset()), key=lambda pair: pair[0])
    entries = [entry for _, files in folders for entry in files]
    images = [entry for entry in entries if entry.name.lower().endswith(EXTENSIONS)]
    for entry in images:
        if not entry.is_file():
            raise UvlpError("not a file, or a link to nothing", got=entry.path, do="remove it")
    others = len(entries) - len(images)
    if not images:
        raise UvlpError(
            f"class folder without images: {root / relative}",
            got=f"{others} other files" if others else "an empty folder",
            allowed=" ".join(EXTENSIONS),
            do=do,
        )
    return tuple(entry.path[len(str(root)) + 1 :] for entry in images), others


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Every folder from ``folder`` down with its files; ``above`` are the folders on the way here."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise UvlpError("a folder holds a link to a folder that it lies in", got=folder, do="remove the link")
    entries = visible_entries(folder)
    yield folder, [entry for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry.path, above | {here})
