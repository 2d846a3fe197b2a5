"""Arrays of a program as a file of tensors in the store's cache, checked and scored as any such file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.core.files.writing import complete_file
from uvlp.datasets.files.images.tensors import labels as label_forms, pictures, tensor_set
from uvlp.recipes.requests.reading import Reading

if TYPE_CHECKING:
    import numpy

KEY_DIGITS = 16


def kept(images: numpy.ndarray, labels: numpy.ndarray, classes: int, reading: Reading, cache: Path) -> Path:
    """Write images and labels into one file below ``cache``, which is named by their content.

    Args:
        images: see `pictures.rgb`.
        labels: see `labels.read`.
        classes: number of classes of the dataset.
        reading: what the user stated.
        cache: of the store.

    Raises:
        UvlpError: they cannot be scored; nothing is written.
        OSError: the file cannot be written.
    """
    import numpy

    pictures.rgb(images, reading, "the images")
    label_forms.read(labels, len(images), classes, reading, "the labels")
    path = cache / f"tensors-{tensor_set.content_of(images, labels)[:KEY_DIGITS]}.npz"
    with complete_file(path) as unfinished, unfinished.open("wb") as file:
        numpy.savez(file, images=images, labels=labels)
    return path
