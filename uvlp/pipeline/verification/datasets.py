"""Datasets behind the artifacts: as the store recorded them, and with `--data` as they lie there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import read_checked
from uvlp.core.progress import Progress, print_message
from uvlp.declarations.dataset import declared_dataset
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.verification.contents import Contents
from uvlp.pipeline.verification.report import Check

NOTES_ON_SIZES = "sizes-"
"""Beginning of the name of a file beside a record, of the same hash (`datasets/files/images/sizes.py`)."""
OF_DATASET, OF_STORE = "the dataset", "the store's record of the dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The classes of a dataset, and where they were read."""

    manifest: DatasetManifest
    source: str


Datasets = Mapping[str, Known]
"""By content hash."""


def kept_datasets(contents: Contents, check: Check) -> dict[str, Known]:
    """What the store recorded of the datasets behind its artifacts."""
    found: dict[str, Known] = {}
    hashes = {one.manifest.dataset for one in contents.artifacts.values() if one.manifest}
    for content_hash in sorted(hashes):
        for path in sorted((contents.root / "datasets").glob(f"*-{content_hash[:16]}.json")):
            if path.name.startswith(NOTES_ON_SIZES):
                continue
            manifest = _kept(path, content_hash, check)
            if manifest is not None:
                found[content_hash] = Known(manifest=manifest, source=OF_STORE)
    return found


def _kept(path: Path, content_hash: str, check: Check) -> DatasetManifest | None:
    file = f"datasets/{path.name}"
    try:
        manifest = DatasetManifest.from_values(read_checked(path))
    except (KeyError, TypeError, AttributeError):
        check.fail(file, "not as it was written: its own hash or form", allowed="delete it, it is made again")
        return None
    if manifest.content_hash != content_hash:
        check.fail(file, "of another dataset", manifest.content_hash[:16], content_hash[:16])
        return None
    return manifest


def opened_datasets(contents: Contents, data: str, cache: Path, check: Check) -> dict[str, Known]:
    """The datasets themselves, by the content hash that artifacts record; another one is named."""
    found: dict[str, Known] = {}
    places: dict[str, set[str]] = {}
    for one in contents.artifacts.values():
        place = (one.manifest.made or {}).get("dataset") if one.manifest else None
        if one.manifest and place:
            places.setdefault(str(place), set()).add(one.manifest.dataset)
    for place, hashes in places.items():
        try:
            spec = spec_of(place, data)
            dataset = open_dataset(spec, cache, Progress(print_message, place))
        except UvlpError as error:
            check.skipped[f"datasets that cannot be opened: {place}: {error}"] += 1
            continue
        for content_hash in sorted(hashes):
            check.checked += 1
            if dataset.manifest.content_hash == content_hash:
                found[content_hash] = Known(manifest=dataset.manifest, source=OF_DATASET)
            else:
                got = dataset.manifest.content_hash[:16]
                check.fail(
                    f"dataset {place}",
                    "another dataset than the artifacts were made from",
                    got,
                    content_hash[:16],
                )
    return found


def spec_of(place: str, data: str) -> DatasetSpec:
    """The spec of `DatasetSpec.place`; ``data`` where the dataset takes it."""
    name, _, variant = place.partition(" ")
    spec = DatasetSpec.parse(place) if ":" in place else DatasetSpec(name=name, variant=variant)
    named = declared_dataset(spec.name).variants is not None
    return replace(spec, data=data if named else "")
