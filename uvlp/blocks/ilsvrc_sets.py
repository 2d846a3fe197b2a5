"""A dataset that is some of the classes, or all, of a local ILSVRC-2012 folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uvlp.artifacts.dataset_manifest import Dataset, DatasetSpec
from uvlp.blocks.class_lists import wordnet_classes
from uvlp.blocks.named_sets import NamedSet, chosen_variant, fetch_ilsvrc, open_ilsvrc
from uvlp.core.downloads import Download
from uvlp.core.progress import Progress

VARIANTS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IlsvrcSet:
    """What a plug-in of such a dataset does.

    Attributes:
        name: plug-in, and the list of its classes.
        source: where the images come from, in words.
        counts: known numbers of training and validation images; None: not known.
        strict: folders of other classes are refused, not passed over.
    """

    name: str
    source: str
    counts: tuple[int | None, int]
    strict: bool = False

    def open_dataset(self, spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
        """Open the classes in the ILSVRC folder that `--data` names.

        Raises:
            UvlpError: it is not there, or lacks classes.
        """
        chosen_variant(spec, VARIANTS)
        facts = NamedSet(
            name=self.name,
            source=self.source,
            classes=wordnet_classes(self.name),
            counts=self.counts,
            strict=self.strict,
        )
        return open_ilsvrc(facts, spec, cache, progress)

    def download(self, spec: DatasetSpec) -> Download | None:
        """None: ILSVRC cannot be downloaded without an account."""
        chosen_variant(spec, VARIANTS)
        return None

    def fetch(self, spec: DatasetSpec, progress: Progress) -> None:
        """Nothing to do where the folder is there.

        Raises:
            UvlpError: it is not; which layout is needed.
        """
        chosen_variant(spec, VARIANTS)
        fetch_ilsvrc(self.name, spec)
