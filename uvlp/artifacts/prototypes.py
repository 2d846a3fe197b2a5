"""`prototypes`: per class and slot, a VAE latent and a text, with their origin.

`latents.npy` float32 [P, 4, h, w], rows ordered by class index, then slot, and `prototypes.jsonl`
with one object per row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

from uvlp.core.files import json_files

KIND = "prototypes"
SCHEMA = 1


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
        open(folder / "latents.npy", "wb") as arrays,
        open(folder / "prototypes.jsonl", "w", encoding="utf-8") as lines,
    ):
        for latents, prototypes in classes:
            assert len(latents) == len(prototypes)
            values = numpy.ascontiguousarray(latents, dtype=numpy.float32)
            if not written:
                header = {
                    **numpy.lib.format.header_data_from_array_1_0(values),
                    "shape": (count, *values.shape[1:]),
                }
                numpy.lib.format.write_array_header_1_0(arrays, header)
            arrays.write(values.tobytes())
            lines.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in prototypes)
            written += len(values)
    assert written == count


def read(folder: Path) -> tuple[numpy.ndarray, list[Prototype]]:
    """Return the latents, memory-mapped, and their descriptions."""
    import numpy

    latents = numpy.load(folder / "latents.npy", mmap_mode="r", allow_pickle=False)
    return latents, json_files.read_rows(Prototype, folder / "prototypes.jsonl")
