"""Attribute captioners: measure each image, then describe which third of the dataset it falls into.

A captioner is a module with two functions:

* ``captions(images, class_names, progress) -> list[str]`` for uint8 images [N, H, W, 3] and one
  class name per image: a first clause with the class name, then one clause per attribute;
* ``plain(class_name) -> str``: only the first clause, the prompt of methods that use only labels.

Captions are deterministic. The thresholds between the words are the terciles of the given images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def third_words(values: NDArray[np.float64], words: tuple[str, str, str]) -> list[str]:
    """``words[0]`` for values up to the lower tercile, ``words[2]`` for those above the upper one."""
    lower, upper = np.quantile(values, [1 / 3, 2 / 3])
    return [words[int(value > lower) + int(value > upper)] for value in values]


def join_clauses(*clauses: list[str]) -> list[str]:
    """Join parallel lists of clauses to one caption per image."""
    return [", ".join(parts) for parts in zip(*clauses, strict=True)]
