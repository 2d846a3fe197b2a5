"""`distilled`: an image folder that `datasets` and torchvision load, the common output of all methods.

`train/<class id>/<slot>.png` with `train/metadata.jsonl` (file_name, label, class_id, class_name,
text, source), and `contact_sheet.png` with up to ten images of each of the first hundred classes, one
class per row. The method `full` refers to the dataset instead of copying it: its rows have `source` but no
image file.

What 8-bit image files cannot hold lies in `tensors.safetensors` beside `train/`: float32 [H, W, 3] by the
`file_name` of each image, black 0 and white 1 with values beyond (never clamped), in place of its file; and
with soft labels ``labels``, float32 [N, C] in the order of the rows, and ``temperature``, float32 [1], of the
loss.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.dataset import ClassInfo

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files

KIND = "distilled"
SCHEMA = 1
SHEET = "contact_sheet.png"
TENSORS = "tensors.safetensors"
LABELS, TEMPERATURE = "labels", "temperature"
SHEET_COLUMNS = 10
SHEET_CLASSES = 100
"""A thousand classes would give an image 68,000 px high, which few programs can open."""
SHEET_CELL_PX = 64
SHEET_GAP_PX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One distilled image.

    Attributes:
        file_name: relative to `train/`, or the name of float pixels; empty if the image stays in the dataset.
        label: class index.
        class_id: class folder name.
        class_name: readable name.
        text: prompt it was synthesised from; empty for a real image.
        source: file of a real or collected image in its dataset or folder; empty for a synthesised one.
    """

    file_name: str
    label: int
    class_id: str
    class_name: str
    text: str = ""
    source: str = ""


def made_entries(classes: Sequence[ClassInfo], ipc: int) -> list[Entry]:
    """Return the entries of ``ipc`` images per class that a method makes without a text, class by class."""
    return [
        Entry(file_name=f"{info.id}/{slot:05d}.png", label=info.index, class_id=info.id, class_name=info.name)
        for info in classes
        for slot in range(ipc)
    ]


def write(
    folder: Path, entries: Sequence[Entry], images: Iterable[numpy.ndarray], sheet: Iterable[numpy.ndarray]
) -> None:
    """Write the images (uint8 [H, W, 3], one per entry with a file), the rows and the contact sheet.

    ``sheet`` is iterated only after all of ``images`` are written.
    """
    from PIL import Image

    named = [entry for entry in entries if entry.file_name]
    for entry, image in zip(named, images, strict=True):
        path = folder / "train" / entry.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    finish(folder, entries, sheet)


def finish(folder: Path, entries: Sequence[Entry], sheet: Iterable[numpy.ndarray]) -> None:
    """Write the rows and the contact sheet of images that already exist."""
    (folder / "train").mkdir(exist_ok=True)
    with open(folder / "train" / "metadata.jsonl", "w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
    _write_sheet(folder / SHEET, [entries[row].label for row in sheet_rows(entries)], sheet)


def _write_sheet(path: Path, labels: Sequence[int], images: Iterable[numpy.ndarray]) -> None:
    """Write a grid with one class per row; ``labels`` and ``images`` are those shown, in order."""
    from PIL import Image

    rows = sorted(set(labels))
    columns = max(labels.count(row) for row in rows)
    step_px = SHEET_CELL_PX + SHEET_GAP_PX
    sheet = Image.new("RGB", (columns * step_px, len(rows) * step_px), "dimgrey")
    remaining = iter(images)
    for row, label in enumerate(rows):
        for column in range(labels.count(label)):
            side = (SHEET_CELL_PX, SHEET_CELL_PX)
            cell = Image.fromarray(next(remaining)).resize(side, Image.Resampling.BICUBIC)
            sheet.paste(cell, (column * step_px, row * step_px))
    sheet.save(path)


def sheet_rows(entries: Sequence[Entry]) -> list[int]:
    """Return the indices of the entries on the contact sheet: the first ten of each of the first classes."""
    chosen: dict[int, list[int]] = {}
    for index, entry in enumerate(entries):
        row = chosen.setdefault(entry.label, [])
        if len(row) < SHEET_COLUMNS:
            row.append(index)
    return [index for label in sorted(chosen)[:SHEET_CLASSES] for index in chosen[label]]


def read_entries(folder: Path) -> list[Entry]:
    """Read the rows of `metadata.jsonl`."""
    return json_files.read_rows(Entry, folder / "train" / "metadata.jsonl")


def read_image(folder: Path, entry: Entry) -> numpy.ndarray:
    """Read the image of an entry with a file, uint8 [H, W, 3]; float pixels are clamped and rounded."""
    import numpy
    from PIL import Image

    if entry.file_name in tensor_names(folder):
        (floats,) = read_floats(folder, [entry])
        return (floats.clip(0, 1) * 255).round().astype(numpy.uint8)
    with Image.open(folder / "train" / entry.file_name, formats=("PNG",)) as image:
        return numpy.asarray(image.convert("RGB"))


def write_tensors(
    folder: Path,
    images: Mapping[str, numpy.ndarray],
    labels: numpy.ndarray | None,
    temperature: float,
) -> None:
    """Write float32 images [H, W, 3] by their name, and soft labels [N, C] unless None."""
    import numpy
    from safetensors.numpy import save_file

    tensors = {name: numpy.ascontiguousarray(image) for name, image in images.items()}
    if labels is not None:
        tensors[LABELS] = numpy.ascontiguousarray(labels)
        tensors[TEMPERATURE] = numpy.asarray([temperature], numpy.float32)
    save_file(tensors, folder / TENSORS)


def tensor_names(folder: Path) -> frozenset[str]:
    """Return the names of the images with float pixels; none without the file."""
    if not (folder / TENSORS).is_file():
        return frozenset()
    from safetensors import safe_open

    with safe_open(folder / TENSORS, framework="numpy") as file:
        return frozenset(file.keys()) - {LABELS, TEMPERATURE}


def read_floats(folder: Path, entries: Sequence[Entry]) -> list[numpy.ndarray]:
    """Return the pixels of entries with float pixels, float32 [H, W, 3]."""
    from safetensors import safe_open

    with safe_open(folder / TENSORS, framework="numpy") as file:
        return [file.get_tensor(entry.file_name) for entry in entries]


def soft_labels(folder: Path) -> tuple[numpy.ndarray, float] | None:
    """Return the soft labels float32 [N, C], one per row, and the temperature of the loss; None without."""
    if not (folder / TENSORS).is_file():
        return None
    from safetensors import safe_open

    with safe_open(folder / TENSORS, framework="numpy") as file:
        if LABELS not in list(file.keys()):
            return None
        return file.get_tensor(LABELS), float(file.get_tensor(TEMPERATURE)[0])


def check(entries: Sequence[Entry], images: Sequence[numpy.ndarray]) -> None:
    """Refuse synthesised images of one colour, e.g. black ones of a safety checker or a NaN.

    Raises:
        UvlpError: names class and image.
    """
    for entry, image in zip(entries, images, strict=True):
        if image.max() == image.min() and not entry.source:
            what = f"the image {entry.file_name} of class {entry.class_id} ({entry.class_name})"
            raise UvlpError(
                f"stage synthesise: {what} is {'black' if image.max() == 0 else 'of one colour'}",
                fix="the models are broken or under-trained: train longer, or change guidance and strength",
            )
