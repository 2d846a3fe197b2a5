"""Image folders that anyone made, found and named for a run: PATH... of `uvlp evaluate`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset_manifest import DatasetManifest
from uvlp.contenders import Folder
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.folder_titles import titles
from uvlp.core.places import expanded
from uvlp.core.progress import Event, Progress
from uvlp.core.wording import first_few
from uvlp.plan import Planner

LISTED = 4  # folders that the name of a table lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Image folders to be scored.

    Attributes:
        paths: as the user gave them.
        ipc: images per class; None where every class holds the same number.
        select: "first" or "drawn", where a class holds more.
    """

    paths: tuple[str, ...]
    ipc: int | None
    select: str


def check_places(collect: Collect, store: Path, dataset: str) -> None:
    """Refuse folders that cannot be meant.

    Args:
        collect: the folders.
        store: where artifacts are kept; in an image folder its folders would be taken for classes.
        dataset: as the user gave it; who trains on its test images measures nothing.

    Raises:
        UvlpError: the store lies in a folder, or a folder in the dataset's `val`.
    """
    name, _, root = dataset.partition(":")
    for path in collect.paths:
        place = _place(path)
        if Path(os.path.realpath(store)).is_relative_to(place):
            raise UvlpError(
                "the store lies in the image folder", got=str(store), do="name another place with --store"
            )
        if name == "folder" and root and place.is_relative_to(_place(root) / "val"):
            raise UvlpError(
                "these are the dataset's test images",
                got=path,
                allowed="images to train on",
                do="score them on other test images",
            )


def _place(path: str) -> Path:
    """Where a folder is, whatever it is called.

    Raises:
        UvlpError: it has no name, or one that cannot be printed.
    """
    place = os.path.realpath(expanded(path))
    if not path or not place.isprintable():
        raise UvlpError("path of an image folder", got=path, allowed="plain text", do="rename the folder")
    return Path(place)


def find_folders(
    collect: Collect, planner: Planner, cache: Path, taken: Sequence[str]
) -> tuple[int, list[Folder]]:
    """The IPC and the folders, each with what is taken from it for every seed; one given twice counts once.

    Args:
        collect: what to find.
        planner: of the recipe, with the dataset and the seeds.
        cache: folder that remembers the hashes of files.
        taken: names that a folder may not have in the table.

    Raises:
        UvlpError: a folder is wrong, or they hold different numbers of images.
    """
    given: dict[Path, str] = {}
    for path in collect.paths:
        given.setdefault(_place(path), path)
    found = []
    for (folder, path), title in zip(given.items(), titles(list(given), taken), strict=True):
        facts = _find_images(collect, planner, cache, path, folder)
        found.append(Folder(spec=_spec(path), title=title, origin=str(folder), facts=facts))
    return _common_ipc(found), found


def _find_images(
    collect: Collect, planner: Planner, cache: Path, path: str, folder: Path
) -> dict[int, dict[str, Any]]:
    """By seed, the facts about the images that are taken from one folder; ``path`` is its name for people."""
    stage = plugins.load("stages", "collect")
    facts: dict[int, dict[str, Any]] = {}
    remarks: dict[str, None] = {}
    for seed in planner.recipe.seeds:
        facts[seed], notes = stage.find(
            folder,
            planner.manifest.classes,
            cache,
            Progress(tell, path),
            ipc=collect.ipc,
            select=collect.select,
            seed=seed,
        )
        remarks |= dict.fromkeys(notes)
    for line in remarks:
        print(f"note   {path}: {line}", file=sys.stderr)
    return facts


def _spec(path: str) -> str:
    """A folder's path with a slash in it, so that it is never taken for a method of that name."""
    tidy = os.path.normpath(path)
    return tidy if os.sep in tidy else f".{os.sep}{tidy}"


def joined_titles(folders: Sequence[Folder]) -> str:
    """What the folders' table is called."""
    shown, rest = folders[:LISTED], len(folders) - LISTED
    return "-".join(folder.title for folder in shown) + (f"-and-{rest}-more" if rest > 0 else "")


def _common_ipc(folders: Sequence[Folder]) -> int:
    """Images per class; which of two numbers counts must not depend on the order of the folders."""
    by_ipc: dict[int, list[str]] = {}
    for folder in folders:
        for ipc in {facts["ipc"] for facts in folder.facts.values()}:
            by_ipc.setdefault(ipc, []).append(folder.title)
    if len(by_ipc) > 1:
        raise UvlpError(
            "the folders hold different numbers of images per class",
            got="; ".join(f"{ipc} in {first_few(by_ipc[ipc])}" for ipc in sorted(by_ipc)),
            allowed="the same number in every folder",
            do=f"give --ipc, at most {min(by_ipc)}, to use that many of each",
        )
    return next(iter(by_ipc))


def tell(event: Event) -> None:
    """Print what reading a dataset or a folder says."""
    if event.say:
        print(f"note   {event.label}: {event.say}", file=sys.stderr)


def tell_notes(dataset: str, manifest: DatasetManifest) -> None:
    """Print what the user should know about a dataset that was opened."""
    for line in manifest.notes:
        print(f"note   {dataset}: {line}", file=sys.stderr)
