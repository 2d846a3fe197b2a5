"""A dataset that is one binary archive of the University of Toronto."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uvlp.artifacts.dataset_manifest import Dataset, DatasetSpec
from uvlp.blocks.binary_images import Layout, binary_root, open_binary
from uvlp.blocks.class_lists import numbered_classes
from uvlp.blocks.named_sets import NamedSet, chosen_variant, fetch_archived, plan_archived
from uvlp.core.downloads import Download
from uvlp.core.progress import Progress

VARIANTS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BinarySet:
    """What a plug-in of such a dataset does.

    Attributes:
        name: plug-in, and the list of its classes.
        layout: the archive and the files in it.
        counts: known numbers of training and test images.
    """

    name: str
    layout: Layout
    counts: tuple[int, int]

    def open_dataset(self, spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
        """Open the unpacked archive.

        Raises:
            UvlpError: it is not there, or not what it should be.
        """
        chosen_variant(spec, VARIANTS)
        facts = NamedSet(
            name=self.name,
            source=f"University of Toronto, {self.layout.archive.name}",
            classes=numbered_classes(self.name),
            counts=self.counts,
        )
        return open_binary(self.layout, facts, spec, cache, progress)

    def download(self, spec: DatasetSpec) -> Download | None:
        """What :meth:`fetch` would still transfer, None if nothing."""
        chosen_variant(spec, VARIANTS)
        there = binary_root(self.layout, spec)
        return None if there else plan_archived(self.name, self.layout.archive, spec)

    def fetch(self, spec: DatasetSpec, progress: Progress) -> None:
        """Put the archive's folder into the data folder.

        Raises:
            UvlpError: no space, no connection, a wrong hash.
        """
        chosen_variant(spec, VARIANTS)
        if binary_root(self.layout, spec) is None:
            fetch_archived(self.layout.archive, spec, progress)
