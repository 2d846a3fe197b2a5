"""Pictures of the report: distilled images from the store, real ones from the dataset, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from uvlp.artifacts import distilled, pixels
from uvlp.core.errors import UvlpError
from uvlp.report.run import Method, Open, Run

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.distilled import Entry

LARGEST_PX = 96
SMALL_PX = 40
"""Up to this side an image in a figure is PNG, without loss; larger ones are JPEG."""
OPTIONS: dict[str, dict[str, Any]] = {
    "webp": {"quality": 85, "method": 6},
    "png": {"optimize": True},
    "jpeg": {"quality": 78},
}


def as_uri(image: numpy.ndarray, largest_px: int = LARGEST_PX, *, webp: bool = False) -> str:
    """Return an image uint8 [H, W, 3] as a data URI, scaled down to ``largest_px``.

    Args:
        image: the image.
        largest_px: longer side.
        webp: a third of the size, but no PDF can have it; else PNG if it is small, or JPEG.
    """
    from PIL import Image

    picture = Image.fromarray(image)
    if max(picture.size) > largest_px:
        picture.thumbnail((largest_px, largest_px), Image.Resampling.LANCZOS)
    form: str = "webp" if webp else "png" if max(picture.size) <= SMALL_PX else "jpeg"
    if form == "png" and bool((image[..., :1] == image).all()):
        picture = picture.convert("L")
    buffer = io.BytesIO()
    picture.save(buffer, form, **OPTIONS[form])
    return f"data:image/{form};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def smaller(uri: str) -> str:
    """Return a data URI of :func:`as_uri` as WebP."""
    import numpy
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])), formats=("PNG", "JPEG")) as picture:
        return as_uri(numpy.asarray(picture.convert("RGB")), webp=True)


class Pictures:
    """The images of a run.

    Args:
        run: the run.
        open_dataset: opens its dataset, whose real images are shown.

    Attributes:
        why_no_dataset: why there are no real images; "" if there are.
    """

    def __init__(self, run: Run, open_dataset: Open) -> None:
        self._run = run
        self.why_no_dataset = ""
        self.dataset: Any = None
        try:
            if not run.content_hash:
                raise UvlpError("the table does not record its dataset")
            self.dataset = open_dataset(run.place, run.content_hash)
        except UvlpError as error:
            self.why_no_dataset = f"no real images: {error}"
        self._entries: dict[str, list[Entry]] = {}

    def entries(self, method: Method) -> list[Entry]:
        """Rows of a method's images, class by class; empty if they are gone."""
        if method.images is None:
            return []
        if method.name not in self._entries:
            self._entries[method.name] = distilled.read_entries(method.images.folder)
        return self._entries[method.name]

    def of_class(self, method: Method) -> dict[int, list[Entry]]:
        """Rows that have an image file, by class index."""
        found: dict[int, list[Entry]] = {}
        for entry in self.entries(method):
            if entry.file_name:
                found.setdefault(entry.label, []).append(entry)
        return found

    def image(self, method: Method, entry: Entry) -> numpy.ndarray:
        """A distilled image, uint8 [H, W, 3]."""
        assert method.images is not None
        return distilled.read_image(method.images.folder, entry)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of every training image by its file name."""
        files = self.dataset.files("train") if self.dataset is not None else ()
        return {name: row for row, name in enumerate(files)}

    @cached_property
    def rows_of_class(self) -> list[range]:
        """Rows of the training images of every class; empty without the dataset and its record."""
        manifest = self.dataset.manifest if self.dataset is not None else self._run.dataset
        ranges, start = [], 0
        for info in manifest.classes if manifest is not None else ():
            ranges.append(range(start, start + info.train))
            start += info.train
        return ranges

    def real(self, rows: Sequence[int]) -> list[numpy.ndarray]:
        """Training images uint8 [H, W, 3]."""
        return list(self.dataset.originals("train", list(rows)))

    def validation(self, indices: Sequence[int]) -> list[numpy.ndarray] | None:
        """Validation images uint8 [H, W, 3], from the dataset, else as networks saw them; None without."""
        if self.dataset is not None:
            return list(self.dataset.originals("val", list(indices)))
        stored = self._stored_validation()
        return None if stored is None else [stored[0][index].transpose(1, 2, 0) for index in indices]

    def validation_labels(self) -> list[int] | None:
        """Class index of every validation image; None without the dataset and its stored images."""
        if self.dataset is not None:
            return list(self.dataset.labels("val"))
        stored = self._stored_validation()
        return None if stored is None else [int(label) for label in stored[1]]

    def _stored_validation(self) -> tuple[numpy.ndarray, numpy.ndarray, str] | None:
        for artifact in self._run.of_kind(pixels.KIND):
            if self._run.checked(artifact.name.partition("/")[2]) is not None:
                return pixels.read(artifact.folder)
        return None


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` positions, evenly spaced, the first included."""
    return list(range(count)) if count <= most else [index * count // most for index in range(most)]
