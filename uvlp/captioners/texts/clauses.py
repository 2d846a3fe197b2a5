"""Attribute captioners: measure each image, say in words which third of the set it falls into.

A captioner is a module with two functions:

* ``captions(images, class_names, progress) -> list[str]`` for uint8 images [N, H, W, 3] and one
  class name per image: a first clause that names the class, then one clause per attribute;
* ``plain(class_name) -> str``: the first clause alone, the prompt of methods that use labels only.

Nothing is drawn by chance. The limits between the words are the terciles of the images given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def third_words(values: NDArray[np.float64], words: tuple[str, str, str]) -> list[str]:
    """``words[0]`` for values up to the lower tercile, ``words[2]`` for those above the upper one."""
    lower, upper = np.quantile(values, [1 / 3, 2 / 3])
    return [words[int(value > lower) + int(value > upper)] for value in values]


def join_clauses(*clauses: list[str]) -> list[str]:
    """One caption per image out of parallel lists of clauses."""
    return [", ".join(parts) for parts in zip(*clauses, strict=True)]
