"""Datasets of ImageNet's classes: any of a local ILSVRC-2012 folder, or ten as fast.ai packs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.datasets.files.archive import Archive, archived_size
from uvlp.datasets.files.class_lists import ClassName, wordnet_classes
from uvlp.datasets.files.image_folder import ImageFolder
from uvlp.datasets.files.named_sets import (
    NamedSet,
    chosen_variant,
    fetch_archived,
    fetch_ilsvrc,
    open_archived,
    open_ilsvrc,
    plan_archived,
)
from uvlp.recipes.dataset_size import ILSVRC_PX, DatasetSize, of_ilsvrc

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


ILSVRC = "ilsvrc"
FAST_AI = "fast.ai's lists (field_notes.md 1.2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FastaiSet:
    """A set in two versions with the same classes.

    Attributes:
        name: plug-in.
        variants: versions; all but ``ilsvrc`` are fast.ai's images.
        archive: fast.ai's file at full size.
        counts: training and validation images of that file.
        ilsvrc_counts: those of the same classes in ILSVRC-2012.
    """

    name: str
    variants: tuple[str, ...]
    archive: Archive
    counts: tuple[int, int]
    ilsvrc_counts: tuple[int, int]

    def open(
        self,
        spec: DatasetSpec,
        cache: Path,
        progress: Progress | None,
        classes: Sequence[ClassName] | None = None,
    ) -> ImageFolder:
        """Open the version asked for; ``classes`` replace the list's names.

        Raises:
            UvlpError: it is not there, or has other classes.
        """
        variant = chosen_variant(spec, self.variants)
        own = variant != ILSVRC
        facts = NamedSet(
            name=self.name,
            variant=variant,
            source=f"fast.ai, {self.archive.name}" if own else f"ten classes of ILSVRC-2012 ({self.name})",
            classes=tuple(classes or wordnet_classes(self.name)),
            counts=self.counts if own else self.ilsvrc_counts,
            strict=own,
        )
        if own:
            return open_archived(facts, self.archive, spec, cache, progress)
        return open_ilsvrc(facts, spec, cache, progress)

    def download(self, spec: DatasetSpec) -> Download | None:
        """What a fetch would still transfer."""
        own = chosen_variant(spec, self.variants) != ILSVRC
        return plan_archived(self.name, self.archive, spec) if own else None

    def fetch(self, spec: DatasetSpec, progress: Progress) -> None:
        """Download and unpack fast.ai's file.

        Raises:
            UvlpError: it cannot be had; ILSVRC never can.
        """
        if chosen_variant(spec, self.variants) == ILSVRC:
            fetch_ilsvrc(f"{self.name} ({ILSVRC})", spec)
        else:
            fetch_archived(self.archive, spec, progress)


def fastai_sizes(one: FastaiSet, classes: int) -> dict[str, DatasetSize]:
    """How large each version of such a set is."""
    own = archived_size(one.archive, classes, one.counts, ILSVRC_PX, FAST_AI)
    sizes = {variant: own for variant in one.variants if variant != ILSVRC}
    return {**sizes, ILSVRC: of_ilsvrc(classes, one.ilsvrc_counts[0])}
