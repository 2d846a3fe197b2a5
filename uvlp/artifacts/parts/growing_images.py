"""Unfinished images of `distilled`: written batch by batch, and kept when the run is interrupted.

A folder that survives the run contains `train/<class id>/<slot>.png` and for each batch
`batches/<first row in the order of synthesis>.json` with the hashes of its images and the state after it.
Only one batch is in memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

from uvlp.artifacts.distilled import Entry
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files, sealed
from uvlp.core.files.writing import complete_file
from uvlp.core.hashing import file_sha256

BATCHES, OLD_STATE = "batches", "state.json"


@dataclass(slots=True, kw_only=True)
class State:
    """Progress of the synthesis.

    Attributes:
        done: finished rows, in the order of synthesis.
        batch: prototypes per batch; 0 before it is chosen. Part of the state because batch sizes change
            rounding: a resumed run must continue with the same size.
        halved: how often the batch was halved for lack of memory.
        decoded_again: images decoded a second time, in float32.
        precision, device: dtype and device of the computation, for the notes.
    """

    done: int = 0
    batch: int = 0
    halved: int = 0
    decoded_again: int = 0
    precision: str = ""
    device: str = ""


class GrowingImages:
    """A folder of images that grows batch by batch.

    Args:
        folder: folder that survives an interrupted run.
        log: called with a line about damaged images that are discarded.

    Attributes:
        state: progress after the last intact batch.
    """

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        self._folder, self.state = folder, State()
        while (path := self._record(self.state.done)).exists():
            state = self._read(path)
            if state is None:
                log(f"images from {self.state.done + 1} on are damaged: synthesising them again")
                break
            self.state = state
        if (folder / OLD_STATE).exists():
            log("images of an earlier version have no hashes: synthesising them again")
            (folder / OLD_STATE).unlink()

    def _record(self, done: int) -> Path:
        """Return the file of the batch that begins with this row."""
        return self._folder / BATCHES / f"{done:08}.json"

    def _read(self, path: Path) -> State | None:
        """Return the state after a batch; None if its record or one of its images is damaged."""
        try:
            record = sealed.read(path, f"{self._folder.name}/{path.name}")
            for name, sha256 in record["images"].items():
                if file_sha256(self._folder / "train" / name) != sha256:
                    return None
            state = json_files.build(State, record["state"])
            return state if state.done > self.state.done else None
        except (OSError, UvlpError, ValueError, TypeError, KeyError):
            return None

    def add(self, entries: Sequence[Entry], images: Iterable[numpy.ndarray]) -> None:
        """Save the images of a batch, uint8 [H, W, 3]; they count once its record is written."""
        from PIL import Image

        hashes = {}
        for entry, pixels in zip(entries, images, strict=True):
            path = self._folder / "train" / entry.file_name
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            with complete_file(path) as unfinished:
                unfinished.write_bytes(content.getvalue())
            hashes[entry.file_name] = hashlib.sha256(content.getvalue()).hexdigest()
        path = self._record(self.state.done)
        self.state.done += len(entries)
        value = {"state": asdict(self.state), "images": hashes}
        sealed.write(path, f"{self._folder.name}/{path.name}", value)

    def finish(self, folder: Path, entries: Iterable[Entry]) -> None:
        """Add these images to ``folder``, with hard links if possible."""
        for entry in entries:
            target = folder / "train" / entry.file_name
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(self._folder / "train" / entry.file_name, target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
