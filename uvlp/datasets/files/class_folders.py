"""Images of any method in class folders, and which of them are used (evaluation.md 1.2, 1.3, Q2).

Either the first files of each class, as the published code takes them, or a draw.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import digest
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.core.wording import first_few
from uvlp.datasets.files.class_naming import Names, assign
from uvlp.datasets.files.folder_hashes import hash_files
from uvlp.datasets.files.folder_remarks import Remarks, others_note
from uvlp.datasets.files.folder_scan import check_folder, image_names, visible_entries
from uvlp.datasets.files.images import image_files
from uvlp.datasets.files.nearby_folders import did_you_mean, file_names, folder_names, nearby, show

NUMBER_OF_IMAGES = re.compile(r"\d+|.*ipc.*", re.IGNORECASE)
"""Folders of one method at several IPC are no seeds of it."""
LAYOUT = "PATH/<class>/<images> or PATH/train/<class>/<images>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolders:
    """The images that are used.

    Attributes:
        root: the folder with the class folders, absolute.
        naming: ``"id"``, ``"name"`` or ``"index"``: what the class folders are named by.
        ipc: images per class, the same in every class.
        select: ``"drawn"`` if images were left out by a draw, else ``"first"``.
        files: (name below ``root``, label), classes in plain string order of their ids.
        notes: lines that the user should read.
    """

    root: Path
    naming: str
    ipc: int
    select: str
    files: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]


def scan_classes(
    path: Path, classes: Sequence[ClassInfo], *, ipc: int | None, select: str, seed: int
) -> ClassFolders:
    """Find the images of every class below ``path`` or ``path/train``; none is opened.

    Args:
        path: the folder that a method made.
        classes: of the dataset; the class folders must be exactly these.
        ipc: images per class; None where every class holds the same number, which it then is.
        select: where a class holds more than ``ipc``: ``"first"`` of the walk in string order, or
            ``"drawn"`` per class from the seed, without replacement and with the order kept.
        seed: of the draw.

    Raises:
        UvlpError: the path, a class folder or the number of images in one is wrong.
    """
    if select not in SELECTIONS:
        raise unknown_name("selection of images", select, SELECTIONS)
    assert ipc is None or ipc > 0, "at least one image per class"
    names = Names(tuple(classes))
    root, notes = _image_root(path, names)
    remarks = Remarks()
    try:
        folders = _class_folders(root, notes, remarks)
        assigned = assign(names, folders, str(root))
    except UvlpError as error:
        raise _with_advice(error, root, names) from error
    notes += assigned.notes
    listed = _list_images(root, assigned.folder_of, remarks)
    notes += [*remarks.notes(), *others_note(len(remarks.other_files))]
    ipc = ipc or _common_count(root, listed)
    _check_enough(root, listed, ipc)
    drawn = select == "drawn" and any(len(images) > ipc for images in listed.values())
    chosen = {name: choose(images, name, ipc, seed if drawn else None) for name, images in listed.items()}
    _note_left_out(listed, chosen, f"drawn from seed {seed}" if drawn else "first in string order", notes)
    label_of = {info.id: info.index for info in classes}
    return ClassFolders(
        root=root,
        naming=assigned.naming,
        ipc=ipc,
        select="drawn" if drawn else "first",
        files=tuple((file, label_of[name]) for name, files in chosen.items() for file in files),
        notes=tuple(notes),
    )


def named_images(path: Path, classes: Sequence[ClassInfo], facts: Mapping[str, Any]) -> ClassFolders:
    """The images of ``path`` that the facts of a task name: ``ipc``, ``select`` and, of a draw, ``seed``.

    Raises:
        UvlpError: as :func:`scan_classes`.
    """
    return scan_classes(path, classes, ipc=facts["ipc"], select=facts["select"], seed=facts.get("seed", 0))


def _image_root(path: Path, names: Names) -> tuple[Path, list[str]]:
    """``path/train`` if class folders may be there (a class may itself be called train), else ``path``."""
    check_folder(path, "image folder", LAYOUT)
    root = Path(os.path.realpath(path))
    inner = root / "train"
    if not inner.is_dir() or names.known(_folder_names(inner)) < names.known(_folder_names(root)):
        return root, []
    return inner, [f"the images are taken from {inner}"]


def _is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(image_files.EXTENSIONS)


def _folder_names(folder: Path) -> list[str]:
    return [entry.name for entry in visible_entries(folder) if entry.is_dir()]


def _class_folders(root: Path, notes: list[str], remarks: Remarks) -> list[str]:
    """Names of the folders in ``root``; other files may lie beside them, but no images."""
    files = [entry.name for entry in visible_entries(root, remarks) if not entry.is_dir()]
    images = [name for name in files if _is_image(name)]
    if images:
        raise UvlpError(
            f"{root} holds images beside the class folders",
            got=first_few(images),
            allowed=LAYOUT,
            fix="move them into the folder of their class, or away",
        )
    folders = _folder_names(root)
    if not folders:
        raise UvlpError(f"{root} has no class folders", allowed=LAYOUT)
    if files:
        notes.append(f"files beside the class folders are not used: {first_few(files)}")
    return folders


def _with_advice(error: UvlpError, root: Path, names: Names) -> UvlpError:
    """The error with what was probably meant: a folder above or below, or images sorted into folders."""

    def fits(folder: Path) -> bool:
        return any(names.fit(folder_names(place)) for place in (folder, folder / "train"))

    found = nearby(root, fits)
    advice = did_you_mean(found)
    if len(found) > 1 and not any(NUMBER_OF_IMAGES.fullmatch(folder.name) for folder in found):
        seeds = ",".join(show(folder) for folder in found[:2])
        advice += f" Seeds of one method are written NAME={seeds},..."
    if not advice and names.known([root.name]) and any(map(_is_image, file_names(root))):
        advice = "this is the folder of one class: name the folder with the folders of all classes"
    if advice := advice or _sorted_by_name(root, names):
        return UvlpError(error.what, got=error.got, allowed=error.allowed, fix=advice)
    return error


def _sorted_by_name(root: Path, names: Names) -> str:
    """What to do about images in one folder whose names begin with their class."""
    inner = folder_names(root)
    if len(inner) > 1:
        return ""
    root = root / "".join(inner)
    files = [name for name in file_names(root) if _is_image(name)]
    classes = {file: names.begins(file) for file in files}
    if not files or not all(classes.values()):
        return ""
    file, name = next(iter(classes.items()))
    return f"their names begin with their class: in {show(root)} put {file} into a folder {name}/, and so on"


def _list_images(root: Path, folder_of: Mapping[str, str], remarks: Remarks) -> dict[str, Sequence[str]]:
    """Every image below ``root`` by class id, classes in plain string order of their ids."""
    fix = "add images, or remove the folder"
    return {name: image_names(root, folder_of[name], fix, remarks) for name in sorted(folder_of)}


def _common_count(root: Path, listed: Mapping[str, Sequence[str]]) -> int:
    """Images per class where every class holds the same number."""
    by_count: dict[int, list[str]] = {}
    for name, images in listed.items():
        by_count.setdefault(len(images), []).append(name)
    if len(by_count) > 1:
        raise UvlpError(
            f"{root}: the classes hold different numbers of images",
            got="; ".join(f"{count} in {first_few(by_count[count])}" for count in sorted(by_count)),
            allowed="the same number in every class",
            fix=f"give --ipc, at most {min(by_count)}, to use that many of each",
        )
    return next(iter(by_count))


def _check_enough(root: Path, listed: Mapping[str, Sequence[str]], ipc: int) -> None:
    few = {name: len(images) for name, images in listed.items() if len(images) < ipc}
    if few:
        raise UvlpError(
            f"{root}: too few images in {len(few)} of {len(listed)} classes",
            got=first_few(f"{count} of class {name}" for name, count in few.items()),
            allowed=f"{ipc} or more",
            fix=f"add images, or give --ipc, at most {min(few.values())}",
        )


def _note_left_out(
    listed: Mapping[str, Sequence[str]], chosen: Mapping[str, Sequence[str]], how: str, notes: list[str]
) -> None:
    total = sum(map(len, listed.values()))
    left_out = total - sum(map(len, chosen.values()))
    if left_out:
        name = next(name for name in listed if len(listed[name]) > len(chosen[name]))
        notes.append(
            f"{left_out} of {total} images are left out, {len(chosen[name])} of each class are used, {how}: "
            f"of {name} {first_few(Path(file).name for file in chosen[name])}"
        )


def content_hash(folders: ClassFolders, cache: Path, progress: Progress) -> tuple[str, list[str]]:
    """Hexadecimal SHA-256 over names, labels and bytes of the images that are used, and that of each image.

    Args:
        folders: as scanned.
        cache: folder that remembers hashes by size and times of the files.
        progress: told about the reading.

    Raises:
        UvlpError: a file cannot be read, is a pointer to an image, or none by its header.
    """
    image_files.check_pointers(folders.root / name for name, _ in folders.files)
    files = [name for name, _ in folders.files]
    hashes = hash_files(folders.root, files, cache, progress, image_files.check_header)
    rows = [[nfc(name), label, sha256] for (name, label), sha256 in zip(folders.files, hashes, strict=True)]
    return digest({"files": rows, "reader": image_files.REVISION}), hashes


SELECTIONS = ("first", "drawn")


def choose(images: Sequence[str], identity: str, ipc: int, seed: int | None = None) -> list[str]:
    """``ipc`` images of one class in their order: the first ones, or with a seed a draw without replacement.

    Draws of one seed are nested: those of IPC 10 are among those of IPC 50.

    Raises:
        UvlpError: the class has fewer than ``ipc`` images.
    """
    if len(images) < ipc:
        raise UvlpError(
            f"too few images of class {identity}",
            got=len(images),
            allowed=f"{ipc} or more",
            fix="add images or lower the IPC",
        )
    if seed is None:
        return list(images[:ipc])
    drawn = numpy_generator(seed, "select", identity).permutation(len(images))[:ipc]
    return [images[position] for position in sorted(drawn)]
