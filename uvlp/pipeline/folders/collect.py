"""Image folders that anyone made, found and named for a run: PATH... of `uvlp evaluate`.

Short names for tables: no two alike, and none like a name that is taken.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks.store_mark import FOLDERS
from uvlp.artifacts.dataset import SPLITS, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.core.files.unicode_form import nfc
from uvlp.core.progress import Progress, print_message
from uvlp.core.wording import first_few
from uvlp.pipeline.folders.rows import FORM, Row
from uvlp.pipeline.planning.contenders import Folder
from uvlp.pipeline.planning.planner import Planner

LISTED = 4  # folders that the name of a table lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Image folders to be scored.

    Attributes:
        rows: what gets a row in the table each.
        ipc: images per class; None where every class holds the same number.
        select: "first" or "drawn", where a class holds more.
    """

    rows: tuple[Row, ...]
    ipc: int | None
    select: str


def seeds_of(rows: Sequence[Row], given: Sequence[int] | None) -> tuple[int, ...] | None:
    """The seeds that rows with a folder per seed need; None where the recipe decides.

    Args:
        rows: as the command line names them.
        given: the seeds that the command line names, None where it names none.

    Raises:
        UvlpError: it names more or fewer than a row has folders.
    """
    most = _most(rows)
    if most == 0 or (most == 1 and given is not None):
        return None
    if given is not None and len(given) != most:
        longest = next(row for row in rows if row.name and len(row.paths) == most)
        raise UvlpError(
            f"--seed: the row {longest.name} has {most} folders, one per seed",
            got=",".join(map(str, given)),
            allowed=f"{most} seeds",
            fix="leave --seed out: the seeds are then 0, 1, ... in the order of the folders",
        )
    return tuple(given or range(most))


def _most(rows: Sequence[Row]) -> int:
    """Folders of the longest row with a name."""
    return max((len(row.paths) for row in rows if row.name), default=0)


def check_places(collect: Collect, store: Path, spec: DatasetSpec) -> None:
    """Refuse folders that cannot be meant.

    Args:
        collect: the folders.
        store: where artifacts are kept; in an image folder its folders would be taken for classes.
        spec: the dataset; who trains on its test images measures nothing.

    Raises:
        UvlpError: the store lies in a folder, or a folder in the dataset's `val`.
    """
    root = _path(spec.argument) if spec.argument else Path(os.path.realpath(spec.root))
    for path in (path for row in collect.rows for path in row.paths):
        given = _path(path)
        if Path(os.path.realpath(store)).is_relative_to(given):
            raise UvlpError(
                "the store lies in the image folder", got=str(store), fix="name another path with --store"
            )
        if any(_is_test_split(folder) for folder in (given, *given.parents) if folder.is_relative_to(root)):
            raise UvlpError(
                "these are the dataset's test images",
                got=path,
                allowed="images to train on",
                fix="score them on other test images",
            )


def _is_test_split(folder: Path) -> bool:
    """Whether it is the `val/` beside a `train/`."""
    return folder.name == "val" and (folder.parent / "train").is_dir()


def check_store(store: Path, spec: DatasetSpec) -> None:
    """Refuse a store among the images of a dataset, and a dataset among the artifacts of the store.

    Args:
        store: where artifacts are kept; its own images would become training images.
        spec: the dataset.

    Raises:
        UvlpError: one lies in the other.
    """
    location = Path(os.path.realpath(store))
    data = Path(os.path.realpath(expand_home(spec.argument) if spec.argument else spec.root))
    if location.is_relative_to(data) and {*SPLITS} & {*location.relative_to(data).parts}:
        raise UvlpError(
            "the store lies among the images of the dataset",
            got=str(store),
            allowed="a path outside of its train/ and val/",
            fix="name another path with --store",
        )
    if data != location and data.is_relative_to(location):
        below = data.relative_to(location).parts[0]
        if below in (*FOLDERS, ".tmp", ".locks", "set_aside"):
            raise UvlpError(
                "the dataset lies among the artifacts of the store",
                got=str(data),
                allowed=f"a path outside of {location / below}",
                fix="move it, or name another store with --store",
            )


def _path(path: str) -> Path:
    """Where a folder is, whatever it is called.

    Raises:
        UvlpError: it has no name, or one that cannot be printed.
    """
    location = os.path.realpath(expand_home(path))
    if not path or not location.isprintable():
        raise UvlpError("path of an image folder", got=path, allowed="plain text", fix="rename the folder")
    return Path(location)


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
    plain: dict[Path, str] = {}
    for row in collect.rows:
        if not row.name:
            plain.setdefault(_path(row.paths[0]), row.paths[0])
    names = [row.name for row in collect.rows if row.name]
    _check_names(names, taken)
    title_of = dict(zip(plain, titles(list(plain), [*taken, *names]), strict=True))
    search = partial(_find_images, collect, planner, cache)
    found: dict[str, Folder] = {}
    for row in collect.rows:
        if row.name:
            # One folder alone is what a path is: the same images in every seed.
            paths = row.paths if _most(collect.rows) > 1 else row.paths * len(planner.recipe.seeds)
            found[row.name] = _row(row, dict(zip(planner.recipe.seeds, paths, strict=False)), search)
        elif (title := title_of[_path(row.paths[0])]) not in found:
            path = row.paths[0]
            found[title] = _folder(_spec(path), title, dict.fromkeys(planner.recipe.seeds, path), search)
    for folder in found.values():
        _check_overlap(collect, planner, cache, folder)
    return _common_ipc(list(found.values())), list(found.values())


Search = Callable[[str, Path, Sequence[int]], dict[int, dict[str, Any]]]
"""By seed, the facts about the images of a folder, by its name for people and its path."""


def _check_names(names: Sequence[str], taken: Sequence[str]) -> None:
    clash = [name for name in names if name.casefold() in {title.casefold() for title in taken}]
    if clash:
        raise UvlpError("a row of the table is called so already", got=clash[0], fix="give another NAME")


def _row(row: Row, given: Mapping[int, str], search: Search) -> Folder:
    """The folders of one row, by the seed that each is for."""
    locations = [_path(path) for path in row.paths]
    twice = [
        path for path, location in zip(row.paths, locations, strict=True) if locations.count(location) > 1
    ]
    if twice:
        raise UvlpError(
            f"{row.name}: one folder is given for several seeds",
            got=first_few(twice),
            allowed=FORM,
            fix="give every seed the images that were made with it",
        )
    return _folder(f"{row.name}={','.join(row.paths)}", row.name, given, search)


def _folder(spec: str, title: str, given: Mapping[int, str], search: Search) -> Folder:
    """The contender whose seeds have the folders ``given``; each folder is searched once."""
    facts: dict[int, dict[str, Any]] = {}
    for path in dict.fromkeys(given.values()):
        facts |= search(path, _path(path), [seed for seed in given if given[seed] == path])
    origins = {seed: str(_path(path)) for seed, path in given.items()}
    return Folder(spec=spec, title=title, paths=given, origins=origins, facts=facts)


def _check_overlap(collect: Collect, planner: Planner, cache: Path, folder: Folder) -> None:
    """Seeds are independent draws: refuse one set of images for two, say how many images two share.

    Raises:
        UvlpError: two folders hold the same images.
    """
    if not folder.several:
        return
    from uvlp.pipeline.folders.images import hashes  # not needed where no folder is scored

    images = {
        seed: hashes(
            Path(origin),
            planner.manifest.classes,
            cache,
            Progress(print_message, folder.paths[seed]),
            folder.facts[seed],
        )
        for seed, origin in folder.origins.items()
    }
    for one, other in combinations(images, 2):
        shared, paths = len(images[one] & images[other]), (folder.paths[one], folder.paths[other])
        if images[one] == images[other]:
            raise UvlpError(
                f"{folder.title}: two seeds have the same images",
                got=" and ".join(paths),
                allowed="images made with another seed in every folder",
            )
        if shared:
            what = f"{shared} of {len(images[other])} images of {paths[1]} are in {paths[0]} too"
            print(
                f"note   {folder.title}: {what}, so these seeds are not independent",
                file=sys.stderr,
            )


def _find_images(
    collect: Collect, planner: Planner, cache: Path, path: str, folder: Path, seeds: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """By seed, the facts about the images that are taken from one folder; ``path`` is its name for people."""
    from uvlp.pipeline.folders.images import find

    facts: dict[int, dict[str, Any]] = {}
    remarks: dict[str, None] = {}
    for seed in seeds:
        facts[seed], notes = find(
            folder,
            planner.manifest.classes,
            cache,
            Progress(print_message, path),
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
    by_ipc: dict[int, dict[str, None]] = {}
    for folder in folders:
        for seed, facts in folder.facts.items():
            name = folder.paths[seed] if folder.several else folder.title
            by_ipc.setdefault(facts["ipc"], {})[name] = None
    if len(by_ipc) > 1:
        raise UvlpError(
            "the folders hold different numbers of images per class",
            got="; ".join(f"{ipc} in {first_few(by_ipc[ipc])}" for ipc in sorted(by_ipc)),
            allowed="the same number in every folder",
            fix=f"give --ipc, at most {min(by_ipc)}, to use that many of each",
        )
    return next(iter(by_ipc))


LONGEST = 40
INSIDE = ("train", "val")
"""Folders that every dataset and result has, so that their names alone say nothing."""


def titles(folders: Sequence[Path], taken: Collection[str] = ()) -> list[str]:
    """The last part of each path, with as many parts before it as tell it from all others.

    Args:
        folders: absolute paths, all different.
        taken: names that mean something else in the same table; capitals make no difference.
    """
    parts = [2 if folder.name in INSIDE else 1 for folder in folders]
    while True:
        names = [_end(folder, count) for folder, count in zip(folders, parts, strict=True)]
        counts = Counter(name.casefold() for name in (*names, *taken))
        alike = [
            i for i, name in enumerate(names) if counts[name.casefold()] > 1 and name != nfc(str(folders[i]))
        ]
        if not alike:
            break
        for i in alike:
            parts[i] += 1
    short = [_shortened(name) for name in names]
    return short if len(set(short)) == len(short) else names


def _end(folder: Path, count: int) -> str:
    return nfc(str(folder) if count >= len(folder.parts) else "/".join(folder.parts[-count:]))


def _shortened(name: str) -> str:
    """At most LONGEST characters: the middle of a long name is left out."""
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[half + 1 - LONGEST :]}"
