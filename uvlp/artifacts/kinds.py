"""Every kind of artifact, and the files without which one of it is none."""

from __future__ import annotations

from collections.abc import Mapping

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
    scores.KIND: ("score.json",),
    teachers.KIND: (teachers.WEIGHTS, teachers.FACTS),
    tables.KIND: ("table.json", *tables.FORMATS.values()),
}
"""Patterns of file names by kind, the folder below the store's root."""
