"""Distilled images as arrays, with their labels and where they lie."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvlp.api import charts
from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import Entry

if TYPE_CHECKING:
    import numpy
    import pandas


@dataclass(frozen=True)
class ImageSet:
    """Images of one method and seed in a store.

    Attributes:
        folder: of the artifact; the images are ``train/<class id>/<slot>.png`` in it.
        title: method and seed.
        notes: what the run that made them noted.
    """

    folder: Path
    title: str
    notes: Sequence[str] = ()

    @cached_property
    def entries(self) -> list[Entry]:
        """A row per image: file, label, class, prompt and source."""
        return distilled.read_entries(self.folder)

    @property
    def images(self) -> numpy.ndarray:
        """The pixels, uint8 [N, H, W, 3]."""
        import numpy

        return numpy.stack([distilled.read_image(self.folder, entry) for entry in self.entries])

    @property
    def labels(self) -> numpy.ndarray:
        """The class index of each image, int64 [N]."""
        import numpy

        return numpy.array([entry.label for entry in self.entries], numpy.int64)

    @property
    def classes(self) -> list[str]:
        """Readable names of the classes, by index."""
        return list({entry.label: entry.class_name for entry in self.entries}.values())

    def to_frame(self) -> pandas.DataFrame:
        """Return the entries as a frame of pandas."""
        import pandas

        return pandas.DataFrame([asdict(entry) for entry in self.entries])

    def plot(self) -> Any:
        """Return a chart of altair with up to ten images of each class."""
        from uvlp.report.pictures import as_uri

        shown: list[tuple[str, str, int]] = []
        for row in distilled.sheet_rows(self.entries):
            entry = self.entries[row]
            column = sum(name == entry.class_name for _, name, _ in shown)
            shown.append((as_uri(distilled.read_image(self.folder, entry)), entry.class_name, column))
        return charts.sheet(shown)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<ImageSet {self.title}: {len(self)} images in {self.folder}>"

    def _repr_html_(self) -> str:
        sheet = base64.b64encode((self.folder / distilled.SHEET).read_bytes()).decode()
        title = escape(f"{self.title}: {len(self)} images")
        return f'<figure><figcaption>{title}</figcaption><img src="data:image/png;base64,{sheet}"></figure>'
