"""`imagenet1k`: ILSVRC-2012, all thousand classes, of a local folder."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset_manifest import Dataset, DatasetSpec
from uvlp.blocks.class_lists import wordnet_classes
from uvlp.blocks.named_sets import NamedSet, chosen_variant, fetch_ilsvrc, open_ilsvrc
from uvlp.core.downloads import Download
from uvlp.core.progress import Progress

VARIANTS: tuple[str, ...] = ()
NAME = "imagenet1k"


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the classes in the ILSVRC folder that `--data` names; folders of other classes are refused.

    Raises:
        UvlpError: it is not there, or lacks classes.
    """
    chosen_variant(spec, VARIANTS)
    facts = NamedSet(
        name=NAME,
        source="ILSVRC-2012",
        classes=wordnet_classes(NAME),
        counts=(1281167, 50000),
        strict=True,
    )
    return open_ilsvrc(facts, spec, cache, progress)


def download(spec: DatasetSpec) -> Download | None:
    """None: ILSVRC cannot be downloaded without an account."""
    return None


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Nothing to do where the folder is there.

    Raises:
        UvlpError: it is not; which layout is needed.
    """
    chosen_variant(spec, VARIANTS)
    fetch_ilsvrc(NAME, spec)
