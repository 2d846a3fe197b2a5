"""The images of `distilled` in the making: written batch by batch, and kept when the run is interrupted.

Below a folder that outlives the run lie `train/<class id>/<slot>.png` and `state.json`, which says how many
rows of the order of synthesis are finished. Memory holds one batch.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

from uvlp.artifacts.distilled import Entry
from uvlp.core import json_files
from uvlp.core.errors import UvlpError

STATE = "state.json"


@dataclass(slots=True, kw_only=True)
class State:
    """How far the synthesis is.

    Attributes:
        done: rows finished, counted in the order of synthesis.
        batch: prototypes at once; 0 before it is chosen. It belongs to the state because other batches
            round differently: a resumed run must go on as it began.
        halved: how often memory was too small for it.
        decoded_again: images decoded a second time, in float32.
        precision, device: what it computes in and where, for the notes.
    """

    done: int = 0
    batch: int = 0
    halved: int = 0
    decoded_again: int = 0
    precision: str = ""
    device: str = ""


class GrowingImages:
    """A folder of images that grows by whole batches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = folder / STATE
        try:
            self.state = json_files.read(State, found) if found.is_file() else State()
        except UvlpError:  # what was drawn is drawn again
            self.state = State()

    def add(self, entries: Sequence[Entry], images: Iterable[numpy.ndarray]) -> None:
        """Save the images of a batch, uint8 [H, W, 3]; they count once the state says so."""
        from PIL import Image

        for entry, pixels in zip(entries, images, strict=True):
            path = self._folder / "train" / entry.file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(pixels)
            _replace(path, lambda file, image=image: image.save(file, "PNG"))
        self.state.done += len(entries)
        text = json.dumps(asdict(self.state)).encode()
        _replace(self._folder / STATE, lambda file: file.write(text))

    def finish(self, folder: Path) -> None:
        """Put the images into ``folder`` as well, without copying where the file system can."""
        shutil.copytree(self._folder / "train", folder / "train", copy_function=_link)


def _replace(path: Path, write: Any) -> None:
    """Write a file that is either whole or not there, even after a power cut."""
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
