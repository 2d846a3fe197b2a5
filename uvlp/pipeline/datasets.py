"""A dataset by the name that the user or a task gives."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec, check_content
from uvlp.core import plugins
from uvlp.core.progress import Progress


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress, content_hash: str = "") -> Dataset:
    """Open a dataset.

    Args:
        spec: which, and where it lies.
        cache: folder with the manifests of datasets that were opened before.
        progress: of the reading.
        content_hash: what it must hold, as the key of a task says; empty: anything.

    Raises:
        UvlpError: unknown dataset, its files are wrong, or they changed since the key was made.
    """
    dataset: Dataset = plugins.load("datasets", spec.name).open_dataset(spec, cache, progress)
    check_content(spec, dataset.manifest, content_hash)
    return dataset
