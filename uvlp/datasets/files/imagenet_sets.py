"""Datasets of ImageNet classes, from a local ILSVRC-2012 folder or fast.ai's archives of ten classes."""

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
TERMS = "ImageNet's terms: non-commercial research and education"


@dataclass(frozen=True, slots=True, kw_only=True)
class IlsvrcSet:
    """A dataset plug-in for classes of a local ILSVRC-2012 folder.

    Attributes:
        name: of the plug-in and of its class list.
        source: origin of the images, for the manifest.
        counts: expected numbers of training and validation images; None if unknown.
        strict: whether folders of other classes are an error; else they are skipped.
    """

    name: str
    source: str
    counts: tuple[int | None, int]
    strict: bool = False

    def open_dataset(self, spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
        """Open the classes in the ILSVRC folder given by `--data`.

        Raises:
            UvlpError: the folder is missing, or lacks classes.
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
        """Check that the folder exists; nothing can be downloaded.

        Raises:
            UvlpError: it does not exist; states the required layout.
        """
        chosen_variant(spec, VARIANTS)
        fetch_ilsvrc(self.name, spec)


ILSVRC = "ilsvrc"
FAST_AI = "fast.ai's lists (field_notes.md 1.2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FastaiSet:
    """A dataset plug-in with the same classes from fast.ai or from ILSVRC.

    Attributes:
        name: of the plug-in and of its class list.
        variants: all but ``ilsvrc`` use fast.ai's images.
        archive: fast.ai's full-size archive.
        counts: numbers of training and validation images in the archive.
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
        """Open the requested variant; ``classes`` replaces the class list.

        Raises:
            UvlpError: it is missing, or its classes are not those of the dataset.
        """
        variant = chosen_variant(spec, self.variants)
        fastai = variant != ILSVRC
        facts = NamedSet(
            name=self.name,
            variant=variant,
            source=f"fast.ai, {self.archive.name}" if fastai else f"ten classes of ILSVRC-2012 ({self.name})",
            classes=tuple(classes or wordnet_classes(self.name)),
            counts=self.counts if fastai else self.ilsvrc_counts,
            strict=fastai,
        )
        if fastai:
            return open_archived(facts, self.archive, spec, cache, progress)
        return open_ilsvrc(facts, spec, cache, progress)

    def download(self, spec: DatasetSpec) -> Download | None:
        """The download that :meth:`fetch` would still make; None if there is none."""
        fastai = chosen_variant(spec, self.variants) != ILSVRC
        return plan_archived(self.name, self.archive, spec) if fastai else None

    def fetch(self, spec: DatasetSpec, progress: Progress) -> None:
        """Download and unpack fast.ai's archive.

        Raises:
            UvlpError: the download fails; ILSVRC cannot be downloaded.
        """
        if chosen_variant(spec, self.variants) == ILSVRC:
            fetch_ilsvrc(f"{self.name} ({ILSVRC})", spec)
        else:
            fetch_archived(self.archive, spec, progress)


def fastai_sizes(one: FastaiSet, classes: int) -> dict[str, DatasetSize]:
    """Size of each variant of such a dataset."""
    fastai = archived_size(one.archive, classes, one.counts, ILSVRC_PX, FAST_AI)
    sizes = {variant: fastai for variant in one.variants if variant != ILSVRC}
    return {**sizes, ILSVRC: of_ilsvrc(classes, one.ilsvrc_counts[0])}
