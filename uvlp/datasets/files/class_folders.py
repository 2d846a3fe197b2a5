"""Find a method's images in class folders and choose which are used (evaluation.md 1.2, 1.3, Q2).

The choice is the first files of each class, as in the published code, or a random draw.
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
"""Matches folders of one method at several IPC, which are not seeds of it."""
LAYOUT = "PATH/<class>/<images> or PATH/train/<class>/<images>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolders:
    """The images to use.

    Attributes:
        root: the folder with the class folders, absolute.
        naming: ``"id"``, ``"name"`` or ``"index"``: how the class folders are named.
        ipc: images per class, the same in every class.
        select: ``"drawn"`` if the images are a random draw of more, else ``"first"``.
        files: (path below ``root``, label), classes in index order, as in a method's own images.
        notes: lines to show to the user.
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
    """List the images of every class below ``path`` or ``path/train`` without opening any.

    Args:
        path: the folder that a method wrote.
        classes: of the dataset; the class folders must be exactly these.
        ipc: images per class; None for the number in each class, which must be the same in all.
        select: what to use of a class with more than ``ipc`` images: the ``"first"`` in string order, or
            images ``"drawn"`` from the seed, per class, without replacement and in their order.
        seed: of the draw.

    Raises:
        UvlpError: the path, a class folder or a number of images is wrong.
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
    images_of = _list_images(root, assigned.folder_of, remarks)
    notes += [*remarks.notes(), *others_note(len(remarks.other_files))]
    ipc = ipc or _common_count(root, images_of)
    _check_enough(root, images_of, ipc)
    drawn = select == "drawn" and any(len(images) > ipc for images in images_of.values())
    chosen = {name: choose(images, name, ipc, seed if drawn else None) for name, images in images_of.items()}
    how = f"drawn from seed {seed}" if drawn else "first in string order"
    _note_left_out(images_of, chosen, how, notes)
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
    """The images of ``path`` that a task's facts select: ``ipc``, ``select`` and, for a draw, ``seed``.

    Raises:
        UvlpError: as :func:`scan_classes`.
    """
    return scan_classes(path, classes, ipc=facts["ipc"], select=facts["select"], seed=facts.get("seed", 0))


def _image_root(path: Path, names: Names) -> tuple[Path, list[str]]:
    """``path/train`` if it has the class folders (a class itself may be called train), else ``path``."""
    check_folder(path, "image folder", LAYOUT)
    root = Path(os.path.realpath(path))
    inner = root / "train"
    if not inner.is_dir() or names.known(_folder_names(inner)) < names.known(_folder_names(root)):
        return root, []
    return inner, [f"the images are taken from {inner}"]


def _is_image(name: str) -> bool:
    """Return whether a file name has an image extension."""
    return name.lower().endswith(image_files.EXTENSIONS)


def _folder_names(folder: Path) -> list[str]:
    return [entry.name for entry in visible_entries(folder) if entry.is_dir()]


def _class_folders(root: Path, notes: list[str], remarks: Remarks) -> list[str]:
    """Names of the folders in ``root``; other files are allowed beside them, but not images."""
    files = [entry.name for entry in visible_entries(root, remarks) if not entry.is_dir()]
    images = [name for name in files if _is_image(name)]
    if images:
        raise UvlpError(
            f"{root} contains images beside the class folders",
            got=first_few(images),
            allowed=LAYOUT,
            fix="move them into their class folders, or elsewhere",
        )
    folders = _folder_names(root)
    if not folders:
        raise UvlpError(f"{root} has no class folders", allowed=LAYOUT)
    if files:
        notes.append(f"files beside the class folders are not used: {first_few(files)}")
    return folders


def _with_advice(error: UvlpError, root: Path, names: Names) -> UvlpError:
    """The error with a suggestion: a folder above or below, or sorting the images into folders."""

    def fits(folder: Path) -> bool:
        return any(names.fit(folder_names(root)) for root in (folder, folder / "train"))

    matches = nearby(root, fits)
    advice = did_you_mean(matches)
    if len(matches) > 1 and not any(NUMBER_OF_IMAGES.fullmatch(folder.name) for folder in matches):
        seeds = ",".join(show(folder) for folder in matches[:2])
        advice += f" For seeds of one method use NAME={seeds},..."
    if not advice and names.known([root.name]) and any(map(_is_image, file_names(root))):
        advice = "this is the folder of a single class: pass the folder that contains all class folders"
    if advice := advice or _sorted_by_name(root, names):
        return UvlpError(error.what, got=error.got, allowed=error.allowed, fix=advice)
    return error


def _sorted_by_name(root: Path, names: Names) -> str:
    """The fix for images in one folder whose names start with their class; else the empty string."""
    inner = folder_names(root)
    if len(inner) > 1:
        return ""
    root = root / "".join(inner)
    files = [name for name in file_names(root) if _is_image(name)]
    classes = {file: names.class_prefix(file) for file in files}
    if not files or not all(classes.values()):
        return ""
    file, name = next(iter(classes.items()))
    return (
        f"the file names start with the class: in {show(root)} move {file} into a folder {name}/, and so on"
    )


def _list_images(root: Path, folder_of: Mapping[str, str], remarks: Remarks) -> dict[str, Sequence[str]]:
    """The images below ``root`` by class id, in the order of ``folder_of``."""
    fix = "add images, or delete the folder"
    return {name: image_names(root, folder_of[name], fix, remarks) for name in folder_of}


def _common_count(root: Path, images_of: Mapping[str, Sequence[str]]) -> int:
    """The number of images per class if it is the same in all classes."""
    by_count: dict[int, list[str]] = {}
    for name, images in images_of.items():
        by_count.setdefault(len(images), []).append(name)
    if len(by_count) > 1:
        raise UvlpError(
            f"{root}: the classes have different numbers of images",
            got="; ".join(f"{count} in {first_few(by_count[count])}" for count in sorted(by_count)),
            allowed="the same number in every class",
            fix=f"pass --ipc, at most {min(by_count)}, to use that many of each class",
        )
    return next(iter(by_count))


def _check_enough(root: Path, images_of: Mapping[str, Sequence[str]], ipc: int) -> None:
    few = {name: len(images) for name, images in images_of.items() if len(images) < ipc}
    if few:
        raise UvlpError(
            f"{root}: too few images in {len(few)} of {len(images_of)} classes",
            got=first_few(f"{count} of class {name}" for name, count in few.items()),
            allowed=f"{ipc} or more",
            fix=f"add images, or pass --ipc, at most {min(few.values())}",
        )


def _note_left_out(
    images_of: Mapping[str, Sequence[str]],
    chosen: Mapping[str, Sequence[str]],
    how: str,
    notes: list[str],
) -> None:
    total = sum(map(len, images_of.values()))
    left_out = total - sum(map(len, chosen.values()))
    if left_out:
        name = next(name for name in images_of if len(images_of[name]) > len(chosen[name]))
        notes.append(
            f"{left_out} of {total} images are left out, {len(chosen[name])} of each class are used, {how}: "
            f"of {name} {first_few(Path(file).name for file in chosen[name])}"
        )


def content_hash(folders: ClassFolders, cache: Path, progress: Progress) -> tuple[str, list[str]]:
    """Hexadecimal SHA-256 over names, labels and bytes of the used images, and the hash of each image.

    Args:
        folders: as scanned.
        cache: folder where hashes are cached by size and times of the files.
        progress: reports the reading.

    Raises:
        UvlpError: a file cannot be read, is a Git LFS pointer, or has no image header.
    """
    image_files.check_pointers(folders.root / name for name, _ in folders.files)
    files = [name for name, _ in folders.files]
    hashes = hash_files(folders.root, files, cache, progress, image_files.check_header)
    rows = [[nfc(name), label, sha256] for (name, label), sha256 in zip(folders.files, hashes, strict=True)]
    return digest({"files": rows, "reader": image_files.REVISION}), hashes


SELECTIONS = ("first", "drawn")


def choose(images: Sequence[str], identity: str, ipc: int, seed: int | None = None) -> list[str]:
    """Choose ``ipc`` images of a class in their order: the first, or with a seed a draw without replacement.

    Draws of one seed are nested: the images of IPC 10 are a subset of those of IPC 50.

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
