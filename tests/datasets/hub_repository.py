"""Repositories of datasets as the library `datasets` writes them, in the layout of the hub."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy
from PIL import Image

NAMES = ("zebra", "ape", "tabby_cat")
"""Names of classes that are not in string order."""


def picture(seed: int, format: str = "JPEG", side_px: int = 12) -> bytes:
    """Return the bytes of an image file."""
    pixels = numpy.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=numpy.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def pictures(count: int, first: int = 0) -> list[bytes]:
    return [picture(first + number, ("JPEG", "PNG")[number % 2]) for number in range(count)]


def images(files: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return images in the form in which the library stores them."""
    return [{"bytes": content, "path": f"{row}.jpg"} for row, content in enumerate(files)]


def table(
    files: Sequence[bytes],
    labels: Sequence[Any],
    names: Sequence[str] = NAMES,
    columns: tuple[str, str] = ("image", "label"),
    **others: Sequence[Any],
) -> datasets.Dataset:
    """Return rows with images and labels; without ``names`` the labels are as they are."""
    values: dict[str, Any] = {columns[0]: images(files), columns[1]: list(labels), **others}
    kind = type(next(each for each in labels if each is not None))
    label = (
        datasets.ClassLabel(names=list(names))
        if names
        else datasets.Value({int: "int64"}.get(kind, "string"))
    )
    features = {columns[0]: datasets.Image(), columns[1]: label}
    for name, items in others.items():
        text = datasets.Value("string")
        features[name] = datasets.List(text) if isinstance(items[0], list) else text
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def save(folder: Path, splits: Mapping[str, datasets.Dataset], config: str = "", card: str = "") -> Path:
    """Write splits as `push_to_hub` lays them out, with a card."""
    inner = folder / (config or "data")
    inner.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        rows.to_parquet(inner / f"{name}-00000-of-00001.parquet")
    entries = "".join(f"  - split: {name}\n    path: {inner.name}/{name}-*\n" for name in splits)
    entry = f"- config_name: {config or 'default'}\n  data_files:\n{entries}"
    path = folder / "README.md"
    before = path.read_text(encoding="utf-8").split("configs:\n")[1].split("---")[0] if path.exists() else ""
    path.write_text(f"---\n{card}configs:\n{before}{entry}---\n# A dataset\n", encoding="utf-8")
    return folder
