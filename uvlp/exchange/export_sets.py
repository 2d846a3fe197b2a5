"""The distilled sets of a store, by key or by the name that other commands print."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts import distilled
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.checks.kinds import REQUIRED
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, read_manifest
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import nfc
from uvlp.core.wording import first_few
from uvlp.pipeline import stored_tables
from uvlp.pipeline.datasets import recorded
from uvlp.pipeline.folders.titles import set_name
from uvlp.pipeline.stored_tables import KEY_DIGITS, LEAST_DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilledSet:
    """Finished distilled images in a store.

    Attributes:
        key: name of the folder.
        name: e.g. ``uvlp-seed-0``; several sets may share it.
        folder: where it lies.
        content: its manifest.
        dataset: the dataset that it was distilled from, as the store recorded it; None if it did not.
    """

    key: str
    name: str
    folder: Path
    content: Mapping[str, Any]
    dataset: DatasetManifest | None

    @property
    def artifact(self) -> str:
        """Path below the store's root."""
        return f"{distilled.KIND}/{self.key}"

    @property
    def full_name(self) -> str:
        """Unique name, with digits of the key."""
        return f"{self.name}@{self.key[:KEY_DIGITS]}"

    @property
    def ipc(self) -> int | None:
        """Images per class; None for the full training set."""
        count: int | None = self.content["facts"].get("ipc")
        return count

    @property
    def about(self) -> str:
        """What the images were distilled from, and how many they are."""
        dataset = self.dataset.name if self.dataset else f"dataset {self.content['dataset'][:KEY_DIGITS]}"
        return f"{dataset}, {'the full set' if self.ipc is None else f'{self.ipc} images per class'}"


def distilled_sets(store: Store) -> list[DistilledSet]:
    """Return every finished set, by name; one whose manifest cannot be read has its key as name."""
    found = [_read(store, folder) for folder in store_mark.artifacts(store.root, distilled.KIND)]
    return sorted(found, key=lambda each: (each.name, each.key))


def _read(store: Store, folder: Path) -> DistilledSet:
    try:
        content = read_manifest(folder)
        name, dataset = set_name(content), str(content["dataset"])
        content["facts"].get("ipc")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        content, name, dataset = {"facts": {}, "dataset": ""}, folder.name, ""
    return DistilledSet(
        key=folder.name,
        name=name,
        folder=folder,
        content=content,
        dataset=recorded(store.cache, dataset) if dataset else None,
    )


def find(wanted: str, store: Store) -> DistilledSet:
    """Return the set of a name, a key, the beginning of a key, or a name followed by @ and digits of the key.

    Raises:
        UvlpError: nothing is finished in the store; no such set, or several; it is of another kind, damaged,
            or of a dataset that the store has no record of.
    """
    sets = distilled_sets(store)
    wanted = nfc(wanted)
    chosen = _matching(wanted, sets)
    if not chosen:
        raise _missing(wanted, sets, store)
    if len(chosen) > 1:
        raise UvlpError(
            f"{len(chosen)} distilled sets are called so",
            got=wanted,
            allowed=", ".join(f"{each.full_name} ({each.about})" for each in chosen),
            fix="give the full name of one, with the digits after the @",
        )
    _check(chosen[0], store)
    return chosen[0]


def _matching(wanted: str, sets: Sequence[DistilledSet]) -> list[DistilledSet]:
    """Return the sets of a name, then those of a method, then those of a key."""
    own, _, digits = wanted.rpartition("@")
    key = wanted.removeprefix(f"{distilled.KIND}/")
    by_name = [each for each in sets if each.name == wanted]
    of_method = [each for each in sets if each.name.rpartition("-seed-")[0] == wanted]
    of_both = [each for each in sets if own and each.name == own and digits and each.key.startswith(digits)]
    of_key = [each for each in sets if len(key) >= LEAST_DIGITS and each.key.startswith(key)]
    return by_name or of_method or of_both or of_key


def _missing(wanted: str, sets: Sequence[DistilledSet], store: Store) -> UvlpError:
    if next(store_mark.artifacts(store.root), None) is None:
        fix = "run `uvlp reproduce` first, or name another store with --store"
        return UvlpError("nothing is finished in this store", got=str(store.root), fix=fix)
    names = [each.full_name for each in sets]
    allowed = ", ".join(names) or "none in this store"
    other = _of_another_kind(wanted, store)
    if other:
        what = f"{other}; only distilled sets are exported"
        return UvlpError(what, got=wanted, allowed=allowed)
    near = difflib.get_close_matches(wanted, [*{each.name for each in sets}, *names], n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}? " if near else ""
    fix = f"{meant}`uvlp list images` lists them; store: {store.root}"
    return UvlpError("no such distilled set", got=wanted, allowed=allowed, fix=fix)


def _of_another_kind(wanted: str, store: Store) -> str:
    """Return what else is called ``wanted`` in the store; empty if nothing is."""
    kind, _, digits = wanted.rpartition("/")
    for folder in store_mark.artifacts(store.root, *([kind] if kind in REQUIRED else [])):
        if len(digits) >= LEAST_DIGITS and folder.name.startswith(digits):
            return f"{folder.parent.name}/{folder.name} is of the kind {folder.parent.name}"
    measured, _ = stored_tables.measured(store)
    names = {table.name for table in measured.values()} | {*measured}
    return "this is a table" if wanted in names else ""


def _check(chosen: DistilledSet, store: Store) -> None:
    damage = store.damage_of(chosen.artifact) or (None if chosen.content.get("files") else MANIFEST)
    store.save_verified()
    if damage is not None:
        raise UvlpError(
            f"damaged images {chosen.artifact} ({chosen.name}): {damage} is missing or changed",
            fix="re-run the command that made them with --force",
        )
    if chosen.ipc is None:
        raise UvlpError(
            "the full training set is not exported: its images stay in the dataset",
            got=chosen.full_name,
            allowed="images that a method distilled",
        )
    if (chosen.folder / distilled.TENSORS).is_file():
        raise UvlpError(
            "image files cannot hold what this set has beside 8-bit pixels: float pixels or soft labels",
            got=chosen.full_name,
            allowed="images of 8 bits with one class each",
            fix=f"publish the file that was scored; the values are in {chosen.folder / distilled.TENSORS}",
        )
    if chosen.dataset is None:
        raise UvlpError(
            f"the store has no record of the dataset of {chosen.artifact}",
            got=f"dataset {first_few([chosen.content['dataset'][:16]])}",
            fix="re-run the command that made the images: it computes nothing, and records their dataset",
        )
