"""Opening of datasets by name."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.checks.opened import checked
from uvlp.artifacts.dataset import Dataset, DatasetManifest, DatasetSpec, check_content, recall, remember
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets.staging import staged
from uvlp.declarations.dataset import declared_dataset


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress, content_hash: str = "") -> Dataset:
    """Open a dataset, and record its manifest in the cache.

    Args:
        spec: name and location of the dataset.
        cache: folder with the manifests of datasets that were opened before.
        progress: reports reading.
        content_hash: expected content hash, from the key of a task; empty: any.

    Raises:
        UvlpError: unknown dataset, invalid files, inconsistent results of its plug-in, or it changed since
            the key was computed.
    """
    declared = declared_dataset(spec.name)
    if spec.argument and not declared.argument:
        what = f"the dataset `{spec.name}` takes no argument after a colon"
        raise UvlpError(what, got=spec.argument, fix=f"write {spec.name}")
    opened = staged.opened(
        cache, content_hash, progress, lambda: declared.open_dataset(spec, cache, progress)
    )
    dataset = checked(opened, spec.name, declared.origin.file)
    check_content(spec, dataset.manifest, content_hash)
    _record(dataset.manifest, cache)
    return dataset


def _record(manifest: DatasetManifest, cache: Path) -> None:
    """Write what a store's artifacts are checked against, unless the plug-in wrote it."""
    path = cache / f"{manifest.name}-{manifest.content_hash[:16]}.json"
    if recall(path, manifest.content_hash) is None:
        remember(path, manifest)


def recorded(cache: Path, content_hash: str) -> DatasetManifest | None:
    """Return what a store recorded of the dataset with this content; None if it has no record."""
    path = record_file(cache, content_hash)
    return None if path is None else recall(path, content_hash)


def record_file(cache: Path, content_hash: str) -> Path | None:
    """Return the file of :func:`recorded`."""
    found = sorted(cache.glob(f"*-{content_hash[:16]}.json"))
    return next((path for path in found if recall(path, content_hash) is not None), None)
