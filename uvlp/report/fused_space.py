"""The fused space of a run: CLIP image and caption features joined by the global α.

Images that a method synthesised have no features in the store; their position is that of what they were made
from, the mean of the fused features of the prototype's averaged members. Selected images have their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvlp.report.pictures import Pictures
from uvlp.report.run import Method, Run, described

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.distilled import Entry

USUAL_ALPHA = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedSpace:
    """Features of the training images.

    Attributes:
        images: CLIP image features [N, D], memory-mapped.
        texts: caption features [N, D]; None if no method of the run read captions.
        names: class-name prototypes [C, D]; None without texts.
        alpha: weight of the image.
        origin: where α comes from, for the reader.
    """

    images: Any
    texts: Any
    names: Any
    alpha: float
    origin: str

    def at(self, rows: Sequence[int]) -> numpy.ndarray:
        """Fused unit features float32 [n, D] of training images."""
        import numpy

        from uvlp.methods.algorithms.fusion import fuse

        wanted = list(rows)
        images = numpy.asarray(self.images[wanted], dtype=numpy.float32)
        if self.texts is None:
            return images
        return fuse(images, numpy.asarray(self.texts[wanted], dtype=numpy.float32), self.alpha)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Placed:
    """A distilled image with its position, a unit vector float32 [D]."""

    entry: Entry
    feature: numpy.ndarray


def space_of(run: Run) -> FusedSpace | None:
    """Return the fused space; None if no method of the run read CLIP features, or they are gone."""
    arrays = run.arrays
    if "image" not in arrays:
        return None
    if "text" not in arrays:
        origin = "image features alone: no method of this run read captions"
        return FusedSpace(images=arrays["image"], texts=None, names=None, alpha=1.0, origin=origin)
    alpha, origin = USUAL_ALPHA, f"α {USUAL_ALPHA}, as no method of this run searched for one"
    for method in run.methods:
        found = next((each.details for each in described(method) if "global_alpha" in each.details), None)
        if found is not None:
            alpha, origin = float(found["global_alpha"]), f"α {found['global_alpha']:.2f}, of {method.title}"
            break
    return FusedSpace(
        images=arrays["image"], texts=arrays["text"], names=arrays["names"], alpha=alpha, origin=origin
    )


def placed(space: FusedSpace, pictures: Pictures, method: Method) -> Iterator[Placed]:
    """Yield the images of a method whose position is known."""
    from uvlp.methods.algorithms.fusion import unit

    entries = [entry for entry in pictures.entries(method) if entry.file_name]
    members = {
        f"{each.class_id}/{each.slot:05d}.png": each.latent_members or each.members
        for each in described(method)
    }
    for entry in entries:
        rows = members.get(entry.file_name) or [pictures.row_of.get(entry.source, -1)]
        if rows[0] >= 0:
            yield Placed(entry=entry, feature=unit(space.at(rows).mean(axis=0)))
