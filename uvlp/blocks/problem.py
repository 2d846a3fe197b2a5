"""What a method is given: the training images of every class as features, captions and latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.prototypes import Prototype


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassData:
    """One class, its rows in visiting order.

    Attributes:
        id: class folder name.
        name: readable name.
        index: class index.
        prompt: label-only prompt.
        rows: rows of the dataset's training files.
        captions: one text per row; empty strings where missing captions are allowed.
        image: CLIP image features float32 [n, D], unit rows; None where the method needs none.
        text: CLIP caption features float32 [n, D], unit rows; None likewise.
        latents: VAE latents float32 [n, 4, h, w], scaled; None likewise.
    """

    id: str
    name: str
    index: int
    prompt: str
    rows: tuple[int, ...]
    captions: tuple[str, ...] = ()
    image: numpy.ndarray | None = None
    text: numpy.ndarray | None = None
    latents: numpy.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All classes in index order.

    Attributes:
        classes: the classes.
        names: class-name prototypes float32 [C, D], unit rows; None where the method needs none.
        ipc: images per class.
        seed: distillation seed.
    """

    classes: tuple[ClassData, ...]
    names: numpy.ndarray | None
    ipc: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPrototypes:
    """What a prototype method returns for one class.

    Attributes:
        latents: float32 [ipc, 4, h, w].
        prototypes: one description per latent.
        notes: counts for the result, e.g. clusters that had to be split.
    """

    latents: numpy.ndarray
    prototypes: list[Prototype]
    notes: dict[str, Any] = field(default_factory=dict)


def build(
    dataset: Any,
    ipc: int,
    seed: int,
    arrays: dict[str, numpy.ndarray],
    texts: tuple[str, ...] = (),
    prompts: Mapping[str, str] | None = None,
) -> Problem:
    """Cut the features of the training set (rows in file order) into classes.

    Args:
        dataset: gives `manifest` and `labels("train")`.
        ipc: images per class.
        seed: distillation seed.
        arrays: any of `image`, `text`, `latents` [N, ...] and `names` [C, D].
        texts: caption of every row, or nothing.
        prompts: label-only prompt per class id, or nothing.
    """
    rows_of: dict[int, list[int]] = {}
    for row, label in enumerate(dataset.labels("train")):
        rows_of.setdefault(label, []).append(row)
    classes = []
    for info in dataset.manifest.classes:
        rows = rows_of[info.index]
        classes.append(
            ClassData(
                id=info.id,
                name=info.name,
                index=info.index,
                prompt=(prompts or {}).get(info.id, info.name),
                rows=tuple(rows),
                captions=tuple(texts[row] for row in rows) if texts else (),
                **{name: arrays[name][rows] for name in ("image", "text", "latents") if name in arrays},
            )
        )
    return Problem(classes=tuple(classes), names=arrays.get("names"), ipc=ipc, seed=seed)
