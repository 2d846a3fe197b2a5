"""A finished run: its table, and every artifact behind it that is still in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from uvlp.artifacts import captions, distilled, features, prototypes, scores, tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.dataset import DatasetManifest, recall
from uvlp.artifacts.scores import Score
from uvlp.artifacts.store import Store
from uvlp.artifacts.tables import Cell, Table
from uvlp.artifacts.task import read_manifest
from uvlp.core.errors import UvlpError

REMAKE = "re-run the command that created it with --force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A finished artifact: its path ``kind/key`` below the store, its folder and its manifest."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Folder below the store's root."""
        return self.name.partition("/")[0]

    @property
    def stage(self) -> str:
        """Stage that made it, with the plug-in that it used."""
        return " ".join(filter(None, (str(self.manifest["stage"]), str(self.manifest["plugin"]))))

    @property
    def made(self) -> Mapping[str, Any]:
        """Facts about the machine."""
        made: Mapping[str, Any] = self.manifest["made"]
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A row of the table.

    Attributes:
        name, title: on the command line, and in tables.
        cells: one per network.
        trainings: for each cell the scores that are in the store, by (seed, repeat).
        seed: the first seed; pictures are of this one.
        images: its distilled images; None if they are gone.
        prototypes: the prototypes they were synthesised from; None without.
    """

    name: str
    title: str
    cells: tuple[Cell, ...]
    trainings: tuple[Mapping[tuple[int, int], Score], ...]
    seed: int
    images: Artifact | None = None
    prototypes: Artifact | None = None


@dataclass(kw_only=True)
class Run:
    """A finished table of the store.

    Attributes:
        name: unique name of the table.
        key: key of its artifact.
        store: the store.
        absent: artifacts that its scores were made from and that are no longer in the store.
    """

    name: str
    key: str
    store: Store
    absent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.table.cells:
            raise UvlpError("the table of this run is from an earlier version", got=self.name, fix=REMAKE)

    @cached_property
    def table(self) -> Table:
        """The table with its cells."""
        return tables.read(self.store.root / tables.KIND / self.key)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Manifest of the table."""
        return read_manifest(self.store.root / tables.KIND / self.key)

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return {folder.name: folder for folder in store_mark.artifacts(self.store.root)}

    @cached_property
    def chain(self) -> dict[str, Artifact]:
        """All artifacts behind the table by key, the table itself first."""
        found: dict[str, Artifact] = {}
        queue = [(self.key, self.name)]
        for key, title in queue:
            if key in found:
                continue
            folder = self._folders.get(key)
            if folder is None:
                if title not in self.absent:
                    self.absent.append(title)
                continue
            content = read_manifest(folder)
            name = f"{folder.parent.name}/{key}"
            found[key] = Artifact(name=name, folder=folder, manifest=content)
            queue += [(each, f"{title}: {part}") for part, each in content["inputs"].items()]
        return found

    def checked(self, key: str | None) -> Artifact | None:
        """Return an artifact of the chain whose files are what its manifest says; None if it is gone.

        Raises:
            UvlpError: a file of it is damaged.
        """
        artifact = self.chain.get(key or "")
        if artifact is None:
            return None
        damage = self.store.damage_of(artifact.name)
        if damage is not None:
            what = f"damaged artifact {artifact.name}: {damage} is missing or changed"
            raise UvlpError(what, fix=REMAKE)
        return artifact

    def input(self, artifact: Artifact | None, part: str) -> Artifact | None:
        """Return an input of an artifact; None if it has none of this name, or it is gone."""
        return None if artifact is None else self.checked(artifact.manifest["inputs"].get(part))

    @cached_property
    def methods(self) -> list[Method]:
        """Rows of the table in order."""
        return [self._method(name, tuple(cells)) for name, cells in self.table.rows.items()]

    def _method(self, name: str, cells: tuple[Cell, ...]) -> Method:
        first = self.chain.get(cells[0].scores[0].partition("/")[2])
        images = self.input(first, "distilled")
        return Method(
            name=name,
            title=cells[0].title,
            cells=cells,
            trainings=tuple(self._trainings(cell) for cell in cells),
            seed=cells[0].seeds[0],
            images=images,
            prototypes=self.input(images, "prototypes"),
        )

    def _trainings(self, cell: Cell) -> dict[tuple[int, int], Score]:
        found = {}
        for seed, repeat, name in zip(cell.seeds, cell.repeats, cell.scores, strict=True):
            if self.checked(name.partition("/")[2]) is not None:
                found[seed, repeat] = scores.read(self.store.root / name)
        return found

    def of_kind(self, kind: str) -> Iterator[Artifact]:
        """Yield the artifacts of the chain of one kind."""
        return (each for each in self.chain.values() if each.kind == kind)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts of a score with few images per class, else of any: network, seed, repeat, ipc."""
        every = [each.manifest["facts"] for each in self.of_kind(scores.KIND)]
        return next((each for each in every if "ipc" in each), every[0] if every else {})

    @property
    def ipc(self) -> int:
        """Images per class; 0 if the run has only the full dataset, or its scores are gone."""
        return int(self.facts.get("ipc", 0))

    @property
    def protocol(self) -> str:
        """Evaluation protocol; "" if its scores are gone."""
        return next((str(each.manifest["plugin"]) for each in self.of_kind(scores.KIND)), "")

    @property
    def place(self) -> str:
        """How the dataset was opened, e.g. ``digits`` or ``folder:/data``."""
        return str(self.manifest["made"].get("dataset", ""))

    @property
    def content_hash(self) -> str:
        """Content hash of the dataset."""
        return str(self.manifest["dataset"])

    @cached_property
    def dataset(self) -> DatasetManifest | None:
        """The store's record of the dataset; None if it is gone."""
        if not self.content_hash:
            return None
        paths = sorted(self.store.cache.glob(f"*-{self.content_hash[:16]}.json"))
        kept = (recall(path, self.content_hash) for path in paths if not path.name.startswith("sizes-"))
        return next(filter(None, kept), None)

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the classes in index order, from the dataset's record, else from the images."""
        if self.dataset is not None:
            return [info.name for info in self.dataset.classes]
        for method in self.methods:
            if method.images is not None:
                entries = distilled.read_entries(method.images.folder)
                names = {entry.label: entry.class_name for entry in entries}
                return [names.get(index, str(index)) for index in range(max(names) + 1)]
        return []

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        """CLIP features and latents of the first seed by name (`artifacts/features`), memory-mapped.

        Empty if no method of the run read features, or they are gone.
        """
        folders: dict[str, Path] = {}
        for artifact in self._readers():
            for part in features.PARTS:
                source = self.input(artifact, part)
                if source is not None and source.kind == features.KIND:
                    folders.setdefault(part, source.folder)
        return features.read(folders) if folders else {}

    def _readers(self) -> Iterable[Artifact]:
        """The artifacts that may have features as inputs, those that read most first."""
        readers = [
            each for method in self.methods for each in (method.prototypes, method.images) if each is not None
        ]
        return sorted(readers, key=lambda each: -len(each.manifest["inputs"]))

    @cached_property
    def captions(self) -> captions.Captions | None:
        """Captions of the training images; None if no method read them, or they are gone."""
        for method in self.methods:
            source = self.input(method.prototypes, "captions")
            if source is not None:
                return captions.read(source.folder)
        return None


def described(method: Method) -> list[prototypes.Prototype]:
    """Return the prototypes of a method, class by class; empty if it has none."""
    return prototypes.read(method.prototypes.folder)[1] if method.prototypes else []


Open = Callable[[str, str], Any]
"""Opens a dataset by its place and content hash (`pipeline/datasets.py`)."""
