"""Every kind of artifact, and its required files."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping

from uvlp.artifacts import (
    captions,
    distilled,
    features,
    pixels,
    prototypes,
    scores,
    tables,
    teachers,
    weights,
)

REQUIRED: Mapping[str, tuple[str, ...]] = {
    captions.KIND: ("metadata.jsonl", captions.PROMPTS),
    weights.KIND: ("*.safetensors",),
    features.KIND: ("*.npy",),
    prototypes.KIND: ("prototypes.jsonl", "latents.npy"),
    distilled.KIND: ("train/metadata.jsonl", distilled.SHEET),
    pixels.KIND: ("validation.npy", "labels.npy", "set.json"),
    scores.KIND: (scores.FILE,),
    teachers.KIND: (teachers.WEIGHTS, teachers.FACTS),
    tables.KIND: (tables.FILE, *tables.FORMATS.values()),
}
"""Patterns of file names by kind, the folder below the store's root."""


def missing_pattern(kind: str, files: Iterable[str]) -> str:
    """Return the first required pattern of a kind that no file matches; "" if all match."""
    names = list(files)
    patterns = REQUIRED.get(kind, ())
    return next((pattern for pattern in patterns if not fnmatch.filter(names, pattern)), "")
