"""`prototypes`: per class and slot, a VAE latent and a text, with their origin.

`latents.npy` float32 [P, 4, h, w], rows ordered by class index, then slot, and `prototypes.jsonl`
with one object per row.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

from uvlp.artifacts.parts import arrays
from uvlp.core.files import json_files

KIND = "prototypes"
SCHEMA = 1
LATENTS, LINES = "latents.npy", "prototypes.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """One prototype apart from its latent.

    Attributes:
        class_id: class folder name.
        slot: 0-based position within the class.
        text: text prototype, may be empty.
        members: training rows of its cluster (indices into the dataset's training files).
        latent_members: the members whose latents were averaged.
        details: further values recorded by the method (alpha, scores, sizes).
    """

    class_id: str
    slot: int
    text: str
    members: tuple[int, ...]
    latent_members: tuple[int, ...]
    details: dict[str, Any] = field(default_factory=dict)


def write(folder: Path, count: int, classes: Iterable[tuple[numpy.ndarray, Sequence[Prototype]]]) -> None:
    """Write both files, one class at a time.

    Args:
        folder: where.
        count: number of all prototypes.
        classes: latents [ipc, 4, h, w] and descriptions of each class, in order; at least one.
    """
    import numpy

    written = 0
    with (
        open(folder / LATENTS, "wb") as values,
        open(folder / LINES, "w", encoding="utf-8") as lines,
    ):
        for latents, prototypes in classes:
            assert len(latents) == len(prototypes)
            of_class = numpy.ascontiguousarray(latents, dtype=numpy.float32)
            if not written:
                header = {
                    **numpy.lib.format.header_data_from_array_1_0(of_class),
                    "shape": (count, *of_class.shape[1:]),
                }
                numpy.lib.format.write_array_header_1_0(values, header)
            values.write(of_class.tobytes())
            lines.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in prototypes)
            written += len(of_class)
    assert written == count


def join(sources: Sequence[Path], folder: Path) -> None:
    """Write both files of all parts to the folder of the artifact, the same bytes as made at once.

    Args:
        sources: folders of the parts, in order.
        folder: of the artifact.

    Raises:
        OSError: they cannot be written.
    """
    arrays.join([source / LATENTS for source in sources], folder / LATENTS)
    with open(folder / LINES, "wb") as target:
        for source in sources:
            with open(source / LINES, "rb") as lines:
                shutil.copyfileobj(lines, target)


def read(folder: Path) -> tuple[numpy.ndarray, list[Prototype]]:
    """Return the latents, memory-mapped, and their descriptions."""
    import numpy

    latents = numpy.load(folder / LATENTS, mmap_mode="r", allow_pickle=False)
    return latents, json_files.read_rows(Prototype, folder / LINES)
