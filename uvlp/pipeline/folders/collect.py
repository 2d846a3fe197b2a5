"""Image folders of any source for a run: PATH... of `uvlp evaluate`.

Their names in tables are short and unique, and differ from the names of methods.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks.store_mark import FOLDERS
from uvlp.artifacts.dataset import SPLITS, DatasetSpec
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.core.progress import Progress, print_message
from uvlp.core.wording import first_few
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.folders import stated
from uvlp.pipeline.folders.archives import unpacked
from uvlp.pipeline.folders.published import PublishedSet
from uvlp.pipeline.folders.rows import FORM, Row
from uvlp.pipeline.folders.titles import titles
from uvlp.pipeline.planning.contenders import Folder
from uvlp.pipeline.planning.planner import Planner
from uvlp.recipes.requests.reading import Reading

LISTED = 4  # folders listed in the name of a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Image folders to be scored.

    Attributes:
        rows: rows of the table.
        ipc: images per class; None if every class has the same number.
        select: "first" or "drawn", if a class has more.
        published: sets that were fetched from the hub, by their addresses in the rows.
        unpacked: folders of unpacked archives, by their paths in the rows.
        reading: what the user stated about files of tensors.
    """

    rows: tuple[Row, ...]
    ipc: int | None
    select: str
    published: Mapping[str, PublishedSet] = field(default_factory=dict)
    unpacked: Mapping[str, Path] = field(default_factory=dict)
    reading: Reading = Reading()

    @property
    def paths(self) -> dict[str, Path]:
        """The paths as they are given; published sets, and images that the store has, aside."""
        given = (path for row in self.rows if not row.stored for path in row.paths)
        return {path: _path(path) for path in given if path not in self.published}

    def location(self, path: str) -> Path:
        """Return the resolved folder of a path or address in the rows.

        Raises:
            UvlpError: its name is empty or not printable.
        """
        if path in self.published:
            return self.published[path].folder
        return self.unpacked.get(path) or _path(path)

    def title_path(self, path: str) -> Path:
        """Return a path whose end is a title in tables."""
        return self.published[path].title_path if path in self.published else _path(path)


def seeds_of(rows: Sequence[Row], given: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return the seeds of rows with a folder per seed; None to use those of the recipe.

    Args:
        rows: rows of the command line.
        given: seeds of the command line, None without --seed.

    Raises:
        UvlpError: the number of seeds differs from the number of folders of a row.
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
            fix="omit --seed: the seeds are then 0, 1, ... in the order of the folders",
        )
    return tuple(given or range(most))


def _most(rows: Sequence[Row]) -> int:
    """Return the number of folders of the longest named row."""
    return max((len(row.paths) for row in rows if row.name), default=0)


def check_folders(collect: Collect, store: Path, spec: DatasetSpec) -> None:
    """Refuse folders that contain the store or test images.

    Args:
        collect: the folders.
        store: folder of artifacts; inside an image folder its folders would look like classes.
        spec: the dataset; training on its test images would make the score meaningless.

    Raises:
        UvlpError: the store is inside a folder, or a folder inside the dataset's `val`.
    """
    root = _path(spec.argument) if spec.path is not None else Path(os.path.realpath(spec.root))
    for path in (path for row in collect.rows for path in row.paths):
        given = collect.location(path)
        if Path(os.path.realpath(store)).is_relative_to(given):
            raise UvlpError(
                "the store is inside the image folder", got=str(store), fix="set another path with --store"
            )
        if any(_is_test_split(folder) for folder in (given, *given.parents) if folder.is_relative_to(root)):
            raise UvlpError(
                "these are the dataset's test images",
                got=path,
                allowed="images to train on",
                fix="score them on other test images",
            )


def _is_test_split(folder: Path) -> bool:
    """Return whether it is a `val/` beside a `train/`."""
    return folder.name == "val" and (folder.parent / "train").is_dir()


def check_store(store: Path, spec: DatasetSpec) -> None:
    """Refuse a store among the images of a dataset, and a dataset among the artifacts of the store.

    Args:
        store: folder of artifacts; its images would become training images.
        spec: the dataset.

    Raises:
        UvlpError: one is inside the other.
    """
    location = Path(os.path.realpath(store))
    data = Path(os.path.realpath(spec.path or spec.root))
    if location.is_relative_to(data) and {*SPLITS} & {*location.relative_to(data).parts}:
        raise UvlpError(
            "the store is among the images of the dataset",
            got=str(store),
            allowed="a path outside its train/ and val/",
            fix="set another path with --store",
        )
    if data != location and data.is_relative_to(location):
        below = data.relative_to(location).parts[0]
        if below in (*FOLDERS, ".tmp", ".locks", ".runs", "set_aside"):
            raise UvlpError(
                "the dataset is among the artifacts of the store",
                got=str(data),
                allowed=f"a path outside {location / below}",
                fix="move it, or use another store: --store DIR",
            )


def _path(path: str) -> Path:
    """Return the resolved path of a folder.

    Raises:
        UvlpError: its name is empty or not printable.
    """
    location = os.path.realpath(expand_home(path))
    if not path or not location.isprintable():
        what = "invalid path of an image folder"
        raise UvlpError(what, got=path, allowed="printable characters", fix="rename the folder")
    return Path(location)


def find_folders(
    collect: Collect, planner: Planner, cache: Path, taken: Sequence[str]
) -> tuple[int, list[Folder]]:
    """Return the IPC and the folders with their images for every seed; duplicates count once.

    Args:
        collect: the request.
        planner: of the recipe, with the dataset and the seeds.
        cache: folder with cached file hashes.
        taken: names that a folder may not have in the table.

    Raises:
        UvlpError: a folder is invalid, or folders have different numbers of images.
    """
    collect = replace(collect, unpacked=unpacked(collect.paths, cache))
    plain: dict[Path, Path] = {}
    for row in collect.rows:
        if not row.name:
            plain.setdefault(collect.location(row.paths[0]), collect.title_path(row.paths[0]))
    names = [row.name for row in collect.rows if row.name]
    _check_names(names, taken)
    title_of = dict(zip(plain, titles(list(plain.values()), [*taken, *names]), strict=True))
    search = partial(_find_images, collect, planner, cache)
    by_title: dict[str, Folder] = {}
    for row in collect.rows:
        if row.name:
            # A single folder is used for every seed, like a plain path.
            paths = row.paths if _most(collect.rows) > 1 else row.paths * len(planner.recipe.seeds)
            given = dict(zip(planner.recipe.seeds, paths, strict=False))
            how = partial(_stored, row) if row.stored else search
            by_title[row.name] = _row(row, given, collect.location, how)
        elif (title := title_of[collect.location(row.paths[0])]) not in by_title:
            path = row.paths[0]
            spec = path if path in collect.published else _spec(path)
            given = dict.fromkeys(planner.recipe.seeds, path)
            by_title[title] = _folder(spec, title, given, collect.location, search)
    stated.check(collect.reading, list(by_title.values()))
    stored = {row.name for row in collect.rows if row.stored}
    for folder in (by_title[title] for title in by_title if title not in stored):
        _check_overlap(collect, planner, cache, folder)
    return _common_ipc(list(by_title.values())), list(by_title.values())


Search = Callable[[str, Path, Sequence[int]], dict[int, dict[str, Any]]]
"""Returns facts about images by seed, given a folder's name for messages, its path, and seeds."""


def _check_names(names: Sequence[str], taken: Sequence[str]) -> None:
    clash = [name for name in names if name.casefold() in {title.casefold() for title in taken}]
    if clash:
        raise UvlpError("a row of the table already has this name", got=clash[0], fix="give another NAME")


def _row(row: Row, given: Mapping[int, str], locate: Callable[[str], Path], search: Search) -> Folder:
    """Return the contender of one named row, from its folders by seed."""
    locations = [locate(path) for path in row.paths]
    twice = [
        path for path, location in zip(row.paths, locations, strict=True) if locations.count(location) > 1
    ]
    if twice:
        raise UvlpError(
            f"{row.name}: the same folder is given for several seeds",
            got=first_few(twice),
            allowed=FORM,
            fix="give every seed the folder of its own images",
        )
    folder = _folder(row.spec, row.name, given, locate, search)
    if not row.baseline:
        return folder
    return replace(
        folder,
        facts={seed: {**facts, "baseline": dict(row.baseline)} for seed, facts in folder.facts.items()},
        note="images of {repository} at commit {commit}".format(**row.baseline),
    )


def _stored(row: Row, path: str, folder: Path, seeds: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the facts of images that were imported from ``path``, which need not exist any more."""
    return dict.fromkeys(seeds, dict(row.stored[row.paths.index(path)]))


def _folder(
    spec: str, title: str, given: Mapping[int, str], locate: Callable[[str], Path], search: Search
) -> Folder:
    """Return the contender with the folders ``given`` by seed; each folder is searched once."""
    facts: dict[int, dict[str, Any]] = {}
    for path in dict.fromkeys(given.values()):
        facts |= search(path, locate(path), [seed for seed in given if given[seed] == path])
    origins = {seed: str(locate(path)) for seed, path in given.items()}
    return Folder(
        spec=spec,
        title=title,
        paths=given,
        origins=origins,
        facts=facts,
        note=_note(next(iter(facts.values()))),
    )


def _note(facts: Mapping[str, Any]) -> str:
    """Return a line for a row with soft labels, beside which random images have hard ones."""
    tensor = facts.get("tensor", {})
    if tensor.get("labels", "integers") == "integers":
        return ""
    learnt = (
        f"logits at temperature {tensor['temperature']:g}" if "temperature" in tensor else "probabilities"
    )
    return f"trained on the soft labels of its file ({learnt}); rows without this note are not"


def _check_overlap(collect: Collect, planner: Planner, cache: Path, folder: Folder) -> None:
    """Refuse equal images for two seeds, which must be independent; report how many images two share.

    Raises:
        UvlpError: two folders contain the same images.
    """
    if not folder.several:
        return
    from uvlp.pipeline.folders.images import hashes  # only needed if folders are scored

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
                allowed="images of a different seed in every folder",
            )
        if shared:
            what = f"{shared} of {len(images[other])} images of {paths[1]} are also in {paths[0]}"
            messages.note(f"{folder.title}: {what}, so these seeds are not independent")


def _find_images(
    collect: Collect, planner: Planner, cache: Path, path: str, folder: Path, seeds: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Return facts about the images of one folder by seed; ``path`` is its name for messages."""
    from uvlp.pipeline.folders.images import find

    facts: dict[int, dict[str, Any]] = {}
    lines: dict[str, None] = {}
    for seed in seeds:
        facts[seed], notes = find(
            folder,
            planner.manifest.classes,
            cache,
            Progress(print_message, path),
            ipc=collect.ipc,
            select=collect.select,
            seed=seed,
            reading=collect.reading,
        )
        _check_labels(path, facts[seed], planner.recipe.protocol)
        lines |= dict.fromkeys(notes)
        if path in collect.published:
            lines |= dict.fromkeys(collect.published[path].check(planner.manifest, facts[seed]))
    for line in lines:
        messages.note(f"{path}: {line}")
    return facts


def _check_labels(path: str, facts: Mapping[str, Any], protocol: str) -> None:
    """Refuse soft labels under a protocol that makes its own.

    Raises:
        UvlpError: they would not be used.
    """
    kind = facts.get("tensor", {}).get("labels", "integers")
    if kind != "integers" and declared_protocol(protocol).teacher:
        raise UvlpError(
            f"{path}: the protocol {protocol} learns the labels of its teacher, not those of the file",
            got=kind,
            allowed="integers",
            fix="use --protocol minimax, or save class indices",
        )


def _spec(path: str) -> str:
    """Return a folder's path with a slash in it, so that it is not mistaken for a method of that name."""
    normal = os.path.normpath(path)
    return normal if os.sep in normal else f".{os.sep}{normal}"


def joined_titles(folders: Sequence[Folder]) -> str:
    """Return the part of a table's name that lists its folders."""
    shown, rest = folders[:LISTED], len(folders) - LISTED
    return "-".join(folder.title for folder in shown) + (f"-and-{rest}-more" if rest > 0 else "")


def _common_ipc(folders: Sequence[Folder]) -> int:
    """Return the images per class, which must be the same in all folders."""
    by_ipc: dict[int, dict[str, None]] = {}
    for folder in folders:
        for seed, facts in folder.facts.items():
            name = folder.paths[seed] if folder.several else folder.title
            by_ipc.setdefault(facts["ipc"], {})[name] = None
    if len(by_ipc) > 1:
        raise UvlpError(
            "the folders have different numbers of images per class",
            got="; ".join(f"{ipc} in {first_few(by_ipc[ipc])}" for ipc in sorted(by_ipc)),
            allowed="the same number in every folder",
            fix=f"give --ipc, at most {min(by_ipc)}, to use that many of each class",
        )
    return next(iter(by_ipc))
