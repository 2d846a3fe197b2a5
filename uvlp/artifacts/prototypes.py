"""`prototypes`: per class and slot, a VAE latent and a text, with their origin.

`latents.npy` float32 [P, 4, h, w], rows ordered by class index, then slot, and `prototypes.jsonl`
with one object per row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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


def write(folder: Path, latents: numpy.ndarray, prototypes: Sequence[Prototype]) -> None:
    """Write both files."""
    import numpy

    assert len(latents) == len(prototypes)
    numpy.save(folder / "latents.npy", latents.astype(numpy.float32), allow_pickle=False)
    with open(folder / "prototypes.jsonl", "w", encoding="utf-8") as file:
        for prototype in prototypes:
            file.write(json.dumps(asdict(prototype), ensure_ascii=False) + "\n")


def read(folder: Path) -> tuple[numpy.ndarray, list[Prototype]]:
    """Return the latents, memory-mapped, and their descriptions."""
    import numpy

    latents = numpy.load(folder / "latents.npy", mmap_mode="r", allow_pickle=False)
    return latents, json_files.read_rows(Prototype, folder / "prototypes.jsonl")
