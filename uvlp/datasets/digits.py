"""`digits`: the 1,797 real handwritten digits shipped with scikit-learn; no download.

Command: ``uvlp reproduce digits 10``. Time, memory and expected accuracies are in README.md.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.dataset import ClassInfo, Dataset, DatasetManifest, DatasetSpec, recall, remember
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import digest, file_sha256, read_hashed
from uvlp.core.progress import Progress
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.evaluation import EvaluateSettings, RdedSettings, TeacherSettings
from uvlp.recipes.from_scratch import DIFFFIT
from uvlp.recipes.schema import CaptionSettings, Recipe

if TYPE_CHECKING:
    import numpy


REVISION = 1
LICENCE = "CC BY 4.0; scikit-learn BSD-3-Clause"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SOURCE_PX = 8
IMAGE_PX = 32
VAL_IMAGES = 490
SPLIT = f"train_test_split(test_size={VAL_IMAGES}, stratify, random_state=0)"
VALIDATION = int(
    "a8253ca1485048614828051319810615108460643402654490c04944c94080501613132293009c14cc00af0508"
    "21408471280000989003c8119c8283404f9080027160a04403013648d20108116786a1d025000a501825054212"
    "02112a8068498156ec397206240100a786024840b3192520140293f0002440503965843c801dc10021244a0090"
    "23704000080c001712a00009057002080023a112000401d102841b2002010c04500513429324a8220d5b501002"
    "07088148053f0420489809005069108810783460140024448010005a00a042c984826800020c64ad11200000",
    16,
)
"""Rows of the validation images as bits: what `SPLIT` gives, whose import takes longer than a training."""
READING = f"round(value * 255 / 16), bilinear to {IMAGE_PX} px, RGB"


EXPECTED = DatasetSize(
    classes=len(NAMES),
    train=1797 - VAL_IMAGES,
    val=VAL_IMAGES,
    image_pixels=SOURCE_PX * SOURCE_PX,
    source="scikit-learn's digits, decisions.md",
)


class Digits:
    """The dataset (see `artifacts/dataset.py` for its interface)."""

    def __init__(self, cache: Path) -> None:
        self._sha256 = file_sha256(_data_file())
        self.manifest = self._manifest(cache)

    def files(self, split: str) -> tuple[str, ...]:
        """Names such as ``train/3/0013.png``; the number is the row in scikit-learn's file."""
        return tuple(f"{split}/{self._targets[row]}/{row:04d}.png" for row in self._rows[split])

    def labels(self, split: str) -> tuple[int, ...]:
        """The digit of each file."""
        return tuple(int(self._targets[row]) for row in self._rows[split])

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3]."""
        import numpy
        from PIL import Image

        from uvlp.datasets.files.images.image_files import squash

        pixels = numpy.empty((len(indices), size_px, size_px, 3), dtype=numpy.uint8)
        for row, image in enumerate(self.originals(split, indices)):
            pixels[row] = squash(Image.fromarray(image), size_px)
        return pixels

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [32, 32, 3] each."""
        import numpy
        from PIL import Image

        rows = self._rows[split]
        side = (IMAGE_PX, IMAGE_PX)
        small = (Image.fromarray(self._pixels[rows[index]]) for index in indices)
        return [
            numpy.asarray(image.resize(side, Image.Resampling.BILINEAR).convert("RGB")) for image in small
        ]

    def captions(self) -> Mapping[str, str] | None:
        """None: the digits have no captions."""
        return None

    @cached_property
    def _data(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Images uint8 [1797, 8, 8] and labels as by ``load_digits``, from the bytes hashed into the key."""
        import numpy

        text = gzip.decompress(read_hashed(_data_file(), self._sha256))
        rows = numpy.loadtxt(io.BytesIO(text), delimiter=",")
        images = rows[:, :-1].reshape(-1, SOURCE_PX, SOURCE_PX)
        return numpy.rint(images * 255 / 16).astype(numpy.uint8), rows[:, -1].astype(int)

    @property
    def _pixels(self) -> numpy.ndarray:
        """uint8 [1797, 8, 8]."""
        return self._data[0]

    @property
    def _targets(self) -> numpy.ndarray:
        return self._data[1]

    @cached_property
    def _rows(self) -> dict[str, list[int]]:
        """Rows of scikit-learn's file per split, sorted by digit, then by row."""
        rows: dict[str, list[int]] = {"train": [], "val": []}
        for row in sorted(range(len(self._targets)), key=lambda row: (self._targets[row], row)):
            rows["val" if VALIDATION >> row & 1 else "train"].append(row)
        return rows

    def _manifest(self, cache: Path) -> DatasetManifest:
        """The manifest; from the second call on it is read from the cache, without scikit-learn or numpy."""
        content_hash = digest([self._sha256, SPLIT, READING])
        remembered = cache / f"digits-{content_hash[:16]}.json"
        manifest = recall(remembered, content_hash)
        if manifest is None:
            manifest = self._build_manifest(content_hash)
            remember(remembered, manifest)
        return manifest

    def _build_manifest(self, content_hash: str) -> DatasetManifest:
        train, val = self.labels("train"), self.labels("val")
        return DatasetManifest(
            name="digits",
            argument="",
            variant="",
            classes=tuple(
                ClassInfo(
                    id=str(index), name=name, index=index, train=train.count(index), val=val.count(index)
                )
                for index, name in enumerate(NAMES)
            ),
            content_hash=content_hash,
            image_px=IMAGE_PX,
            source="scikit-learn load_digits: UCI optical recognition of handwritten digits, 8 x 8 px",
        )


def _data_file() -> Path:
    """The data file shipped with scikit-learn, located without importing it."""
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if package else None
    if path is None or not path.is_file():
        raise UvlpError("the file of the digits is missing", got=str(path), fix="reinstall scikit-learn")
    return path


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the digits; there are no options, and loading is too fast to report progress."""
    return Digits(cache)


SHORT_SCHEDULE = (
    "short schedule for digits, not the paper's; a mirrored digit is another shape, so the recipe has no flip"
)
SMALL_TEACHER = (
    "no published setting: small images of digits and a teacher that was trained on them for a short time; "
    "a mirrored digit is another shape, so the recipe has no flip"
)
SYNTHESIS = {"scheduler": "ddim", "steps": 20, "strength": 0.4, "guidance": 2.0}


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return Recipe(
        dataset="digits",
        ipc=ipc,
        protocol_notes={"minimax": SHORT_SCHEDULE, "rded": SMALL_TEACHER},
        caption=CaptionSettings(captioner="strokes"),
        evaluate=EvaluateSettings(size_px=16, width=32, epochs=300, epochs_full=60, validations=20, flip=0.0),
        rded=RdedSettings(size_px=16, epochs_full=40, flip=0.0),
        teacher=TeacherSettings(epochs=20, batch=64, crop_scale=0.5),
        difffit=DIFFFIT,
        synthesis=SYNTHESIS,
    )
