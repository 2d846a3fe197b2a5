"""A fine-tuning of a second: a tiny pipeline in the published format, ten captioned images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests import tiny_models
from uvlp.artifacts import captions
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.features import LATENTS
from uvlp.artifacts.parts import arrays
from uvlp.artifacts.parts.parts import Parts as StoredParts, Plan, Share
from uvlp.core.progress import Event, Progress
from uvlp.models.device import dtype_name
from uvlp.models.finetuning.inputs import Pixels
from uvlp.models.finetuning.job import Job, run
from uvlp.models.finetuning.latent_cache import BLOCK, encoder, fill
from uvlp.models.finetuning.parts import Parts, load_parts
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import FinetuneSettings

IMAGES, CLASSES, SIDE_PX = 10, ("bar", "circle"), 32
TEXTS = [f"a {('red', 'green', 'blue')[index % 3]} bar on white" for index in range(IMAGES)]
SETTINGS = FinetuneSettings(
    resolution_px=SIDE_PX,
    batch=4,
    accumulation=2,
    epochs=2,
    lr=1e-3,
    cache_latents=False,
    gradient_checkpointing=False,
    checkpointing_steps=1,
)
"""Ten images: three batches of 4, 4 and 2, two updates per epoch, four in total."""

PICTURES = {"validation_prompts": ("a red bar", "a circle"), "validation_epochs": 1}


def make_images(root: Path) -> Path:
    """Write a `folder:` dataset whose images have different sizes and shapes."""
    for index in range(IMAGES):
        pixels = np.random.default_rng(index).integers(0, 256, (4, 3, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((40 + index, 56 - 2 * index))
        for split in ("train", "val"):
            folder = root / split / CLASSES[index * len(CLASSES) // IMAGES]
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{index}.png")
    return root


def make_captions(folder: Path) -> Path:
    """Write the captions of these images, as stage `caption` does."""
    folder.mkdir(parents=True)
    names = [f"train/{CLASSES[index * len(CLASSES) // IMAGES]}/{index}.png" for index in range(IMAGES)]
    captions.write(folder, zip(names, TEXTS, strict=True), {name: name for name in CLASSES})
    return folder


def make_world(root: Path) -> Path:
    """Write `base`, `images` and `captions` below ``root``."""
    tiny_models.diffusion(root / "base")
    make_images(root / "images")
    make_captions(root / "captions")
    return root


def job(world: Path, root: Path, **changes: Any) -> Job:
    """Return a job that reads from ``world`` and writes below ``root``; ``changes`` are settings."""
    for name in ("folder", "partial"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return Job(
        base=str(world / "base"),
        source="a test",
        base_sha256="0" * 64,
        captions=str(world / "captions"),
        dataset=DatasetSpec(name="folder", argument=str(world / "images")),
        dataset_sha256="",
        cache=str(world / "cache"),
        settings=replace(SETTINGS, **changes),
        seed=0,
        precision="auto",
        latents="",
        folder=str(root / "folder"),
        partial=str(root / "partial"),
    )


def with_latents(made: Job) -> Job:
    """Encode the images of a job once, and let it read them."""
    own, device, base = made.settings, torch.device("cpu"), Path(made.base)
    dataset = open_dataset(made.dataset, Path(made.cache), Progress())
    parts = load_parts(base, torch.float32, device, own.resolution_px)
    with ThreadPoolExecutor(2) as pool:
        load = Pixels(dataset, pool, own.resolution_px)
        folder = encoded(Path(made.partial), load, parts, IMAGES, own.batch)
    return replace(made, latents=str(folder), settings=replace(own, cache_latents=True))


def encoded(scratch: Path, load: Pixels, parts: Parts, images: int, batch: int) -> Path:
    """Encode all images and their mirror images, as stage `encode` does; return the folder."""
    plan = Plan(items=images, batch=batch, size=BLOCK, device="this", dtype=dtype_name(parts.dtype))
    made, every, folder = StoredParts(scratch, "latents", print), plan.parts(Share()), scratch / "latents"
    fill(made, plan, every, 2, load, encoder(parts.vae, parts.vae.device, parts.dtype), Progress())
    folder.mkdir()
    arrays.publish([made.folder(part.start) for part in every], folder, [LATENTS])
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Killed(Exception):
    pass


def killed_at(step: int, messages: list[str] | None = None) -> Progress:
    """Return a progress that interrupts the run at this update."""

    def send(event: Event) -> None:
        if event.message and messages is not None:
            messages.append(event.message)
        if event.done == step and event.label == "updates":
            raise Killed

    return Progress(send)


def kill(job: Job, step: int) -> None:
    with pytest.raises(Killed):
        run(job, killed_at(step))
