"""Sets from the hub: the dataset and the order of classes that they state, compared before scoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetManifest
from uvlp.core.errors import UvlpError
from uvlp.datasets.files.class_folders import named_images

COMMIT_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSet:
    """Images of one commit of a repository.

    Attributes:
        repository: ``OWNER/NAME``.
        commit: 40 hexadecimal digits.
        folder: where its files lie.
        labels: index of a class by the name of its folder, as the set states them.
        dataset: the dataset that it states; empty if it states none.
        content_hash: of that dataset; empty if it states none.
    """

    repository: str
    commit: str
    folder: Path
    labels: Mapping[str, int]
    dataset: str
    content_hash: str

    @property
    def address(self) -> str:
        """Address of the commit."""
        return f"hf://{self.repository}@{self.commit}"

    @property
    def title_path(self) -> Path:
        """A path whose end is a title in tables."""
        return Path("/", f"{self.repository}-{self.commit[:COMMIT_DIGITS]}")

    def check(self, dataset: DatasetManifest, facts: Mapping[str, Any]) -> Iterator[str]:
        """Compare dataset and order of classes with those that it will be scored on; yield notes.

        Args:
            dataset: with the test images.
            facts: facts about the selected images (`folders/images.py`).

        Raises:
            UvlpError: it is of another dataset, or its classes have another order.
        """
        if self.dataset and self.dataset != dataset.name:
            what = f"{self.address} was made from another dataset"
            raise UvlpError(what, got=dataset.name, allowed=self.dataset, fix="score it on that dataset")
        for file, label in named_images(self.folder, dataset.classes, facts).files:
            folder = file.partition("/")[0]
            if self.labels.get(folder) != label:
                raise UvlpError(
                    f"{self.address}: the order of its classes is not that of {dataset.name}",
                    got=f"label {self.labels.get(folder, 'missing')} of the folder {folder}",
                    allowed=f"label {label}",
                    fix="score it on the dataset and the variant that its card names",
                )
        if self.content_hash and self.content_hash != dataset.content_hash:
            yield "it was made from another version of this dataset (its content hash differs)"
