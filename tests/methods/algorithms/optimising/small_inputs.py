"""Inputs of methods that optimise images: a few small classes of random images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uvlp.methods.algorithms.method_input import ClassData, MethodInput

SIZE_PX = 16


def small_inputs(
    *,
    classes: int = 3,
    per_class: int = 6,
    ipc: int = 2,
    seed: int = 0,
    size_px: int = SIZE_PX,
    flip: bool = True,
    models: Mapping[str, Path] | None = None,
) -> MethodInput:
    """Return classes whose images are noise around a level of their own."""
    generator = np.random.default_rng(11)
    every = [
        generator.integers(30 * index, 30 * index + 120, (size_px, size_px, 3)).astype(np.uint8)
        for index in range(classes)
        for _ in range(per_class)
    ]

    def read(rows: Any) -> list[np.ndarray]:
        return [every[row] for row in rows]

    data = [
        ClassData(
            id=f"c{index}",
            name=f"class {index}",
            synonyms=f"class {index}",
            index=index,
            prompt=f"class {index}",
            rows=tuple(range(index * per_class, (index + 1) * per_class)),
            read_originals=read,
        )
        for index in range(classes)
    ]
    return MethodInput(
        classes=data,
        last_visited=classes - 1,
        names=None,
        ipc=ipc,
        seed=seed,
        size_px=size_px,
        flip=flip,
        models=models or {},
    )
