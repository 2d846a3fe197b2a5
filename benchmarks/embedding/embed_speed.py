"""`embed` against the published loop over classes: images per second, GPU use, memory.

    python -m benchmarks.embedding.embed_speed [--device cpu|cuda] [--images N] [--runs R] [--record]

On a GPU CLIP ViT-L/14 and the autoencoder of Stable Diffusion 1.5 have their full size and random weights,
and images are squashed to 512 px; on a CPU the models are tiny and the images smaller. Texts are left out on
both sides.

slow: as published (methods.md A.1, A.3, A.4, F.1-F.5). A shuffled loader with four workers and batches of 10
decodes every image to float32; all of them are kept; then for each class one batch through CLIP, whose images
were turned back into pictures one after the other, and the autoencoder in chunks of 16 with a cache flush
after each. ours: the stage itself, from files to files. Models are loaded beforehand, or not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import numpy
import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.embedding.embed_images import embed_images, write_photographs
from benchmarks.evaluation.evaluation_speed import Clock, Utilisation
from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from benchmarks.runs import full_size
from tests import tiny_models
from uvlp.artifacts import features
from uvlp.core import machine
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.embedder import Embedder
from uvlp.recipes.schema import EmbedSettings

T = TypeVar("T")
LOADER_BATCH, LOADER_WORKERS, CHUNK = 10, 4, 16
SIZES = {"cuda": (2000, 512, 3), "cpu": (200, 128, 3)}
GOAL_RATIO, GOAL_BUSY_PCT = 3.0, 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One run of a side."""

    seconds: float
    busy_pct: float
    gpu_mb: float
    clip: numpy.ndarray


def make_models(root: Path, device: str) -> SimpleNamespace:
    """Folders with an embedder and an autoencoder in the published formats."""
    if device == "cpu":
        return SimpleNamespace(
            embedder=tiny_models.clip(root / "clip"), autoencoder=tiny_models.diffusion(root / "diffusion")
        )
    from diffusers import AutoencoderKL
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    config = full_size.clip_config()
    clip = full_size.build(CLIP, config, "cpu", torch.float32)
    (root / "clip").mkdir()
    (root / "clip" / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    save_file(clip.state_dict(), root / "clip" / "open_clip_model.safetensors")
    vae = full_size.build(AutoencoderKL, full_size.vae_config(), "cpu", torch.float32)
    vae.save_pretrained(root / "diffusion" / "vae")
    return SimpleNamespace(embedder=root / "clip", autoencoder=root / "diffusion")


class Slow:
    """The published loop, with its models loaded."""

    def __init__(self, root: Path, models: SimpleNamespace, device: str, size_px: int) -> None:
        self.device = device
        dtype = torch.float16 if device == "cuda" else torch.float32
        self.embedder = Embedder.load(models.embedder, device)
        self.autoencoder = Autoencoder.load(models.autoencoder, "vae", device, dtype)
        squash = transforms.Compose([transforms.Resize((size_px, size_px)), transforms.ToTensor()])
        self.files = ImageFolder(str(root / "train"), squash)

    def __call__(self, clock: Clock) -> numpy.ndarray:
        """All classes; CLIP features in the order of the files."""
        started = clock.now()
        loader = DataLoader(
            _Numbered(self.files),
            batch_size=LOADER_BATCH,
            shuffle=True,
            num_workers=LOADER_WORKERS,
            pin_memory=self.device == "cuda",
        )
        by_class: dict[int, list[tuple[int, torch.Tensor]]] = {}
        for rows, images, labels in loader:
            for row, image, label in zip(rows.tolist(), images, labels.tolist(), strict=True):
                by_class.setdefault(label, []).append((row, image))
        found: dict[int, numpy.ndarray] = {}
        for members in by_class.values():
            images = torch.stack([image for _, image in members])
            self._latents(images)
            pictures = [transforms.functional.to_pil_image(image) for image in images]
            clip = torch.stack([self.embedder.preprocess(numpy.array(picture)) for picture in pictures])
            encoded = self.embedder.encode(clip).cpu().numpy()
            found |= {row: features for (row, _), features in zip(members, encoded, strict=True)}
        clock.marks[:] = [started, clock.now()]
        return numpy.stack([found[row] for row in range(len(found))])

    def _latents(self, images: torch.Tensor) -> None:
        for chunk in images.split(CHUNK):
            levels = (255 * chunk.permute(0, 2, 3, 1)).round().to(torch.uint8)
            mean, deviation = self.autoencoder.moments(levels)
            (mean + deviation * torch.randn_like(mean)).cpu()
            if self.device == "cuda":
                torch.cuda.empty_cache()


class _Numbered(torch.utils.data.Dataset[tuple[int, torch.Tensor, int]]):
    """An ImageFolder that also returns the row."""

    def __init__(self, files: ImageFolder) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> tuple[int, torch.Tensor, int]:
        return row, *self._files[row]


class LastPass(Clock):
    """A clock that forgets what was tracked before, e.g. the hashing of the files."""

    def track(self, items: Iterable[T], what: str = "", total: int | None = None) -> Iterator[T]:
        """As :class:`Clock`."""
        self.marks.clear()
        yield from super().track(items, what, total)


def time_run(work: Callable[[Clock], numpy.ndarray], device: str) -> Timing:
    """Time, utilisation and memory between the marks that ``work`` leaves on its clock."""
    clock = LastPass(device)
    if device == "cpu":
        clip = work(clock)
        return Timing(seconds=clock.marks[-1] - clock.marks[0], busy_pct=0, gpu_mb=0, clip=clip)
    torch.cuda.reset_peak_memory_stats()
    with Utilisation() as utilisation:
        clip = work(clock)
    return Timing(
        seconds=clock.marks[-1] - clock.marks[0],
        busy_pct=utilisation.mean(clock.marks[0], clock.marks[-1]),
        gpu_mb=torch.cuda.max_memory_allocated() / 1e6,
        clip=clip,
    )


def ours(
    root: Path, models: SimpleNamespace, store: Path, device: str, size_px: int, clip_precision: str
) -> Callable[[Clock], numpy.ndarray]:
    """The stage on the same files; its clock runs while it goes through the images."""

    def work(clock: Clock) -> numpy.ndarray:
        settings = EmbedSettings(clip_precision=clip_precision)
        precision = "auto" if device == "cuda" else ""
        for name in (features.KIND, "partial"):
            shutil.rmtree(store / name, ignore_errors=True)
        folder = embed_images(root, models, store, size_px, settings, precision, clock)
        return numpy.array(features.read({"images": folder})["image"])

    return work


def measure(options: argparse.Namespace) -> dict[str, list[Timing]]:
    """Alternating runs of all sides on the same files, after one of each that is not counted."""
    device = options.device
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_photographs(root / "data", options.images)
        models = make_models(root, device)
        common = (root / "data", models, root / "store", device, options.size_px)
        sides: dict[str, Callable[[Clock], numpy.ndarray]] = {
            "slow": Slow(root / "data", models, device, options.size_px),
            "ours": ours(*common, "float32"),
        }
        if device == "cuda":
            sides["ours, CLIP in TF32"] = ours(*common, "tf32")
        runs: dict[str, list[Timing]] = {side: [] for side in sides}
        for number in range(options.runs + 1):
            for side, work in sides.items():
                timing = time_run(work, device)
                print(f"{side}: {timing.seconds:.1f} s, GPU {timing.busy_pct:.0f} %", flush=True)
                if number:
                    runs[side].append(timing)
    return runs


def report(options: argparse.Namespace, runs: dict[str, list[Timing]], load: str) -> str:
    """Rates, ratios and whether the goals are met."""
    median = {side: statistics.median(timing.seconds for timing in timings) for side, timings in runs.items()}
    rows, notes = [], []
    for side, timings in runs.items():
        ratio = median["slow"] / median[side]
        busy = statistics.median(timing.busy_pct for timing in timings)
        difference = max(float(numpy.abs(timing.clip - runs["slow"][0].clip).max()) for timing in timings)
        memory = max(timing.gpu_mb for timing in timings)
        cells = [f"{median[side]:.2f}", f"{options.images / median[side]:.1f}", f"**{ratio:.2f}**"]
        gpu = [f"{busy:.0f}", f"{memory:.0f}"] if options.device == "cuda" else ["", ""]
        rows.append([side, *cells, *gpu, f"{difference:.1g}"])
        if side != "slow" and options.device == "cuda":
            met = ratio >= GOAL_RATIO and busy >= GOAL_BUSY_PCT
            notes.append(
                f"{side}: at least {GOAL_RATIO:g} times as fast and the GPU {GOAL_BUSY_PCT:g} % busy: "
                f"{'yes' if met else 'no'}."
            )
    head = ["", "seconds", "images per second", "times", "GPU busy, %", "GPU memory, MB", "CLIP differs by"]
    single = "; ".join(
        f"{side} " + ", ".join(f"{timing.seconds:.2f}" for timing in timings)
        for side, timings in runs.items()
    )
    size = "full-size models, random weights" if options.device == "cuda" else "tiny models"
    lines = [
        "# Speed of `embed`\n",
        (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2],
        f"{options.images} JPEG files of 500 x 375 px, squashed to {options.size_px} px; {size}; medians of "
        f"{options.runs} alternating runs, the first of each not counted.\n",
        f"- Hardware: {facts.hardware(options.device)}; {facts.versions()}",
        f"- Commit: {facts.commit()}; load average at the start {load}",
        f"- Command: `python -m benchmarks.embedding.embed_speed --device {options.device} --images "
        f"{options.images} --size-px {options.size_px} --runs {options.runs}`\n",
        table(head, rows),
        *notes,
        f"Single runs, s: {single}.\n",
    ]
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=SIZES, default=machine.device())
    parser.add_argument("--images", type=int)
    parser.add_argument("--size-px", type=int)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--record", action="store_true", help="write embed_speed_<hardware>.md")
    options = parser.parse_args()
    images, size_px, runs = SIZES[options.device]
    options.images = options.images or images
    options.size_px, options.runs = options.size_px or size_px, options.runs or runs
    return options


def main() -> None:
    options, load, started = parsed(), facts.load(), time.monotonic()
    torch.set_num_threads(1)
    os.environ.setdefault(*machine.CUBLAS_WORKSPACE)  # before the slow side's first matrix product
    text = report(options, measure(options), load)
    print(text, f"{time.monotonic() - started:.0f} s in all")
    if options.record:
        gpu = machine.gpu_name() if options.device == "cuda" else None
        name = re.sub("[^a-z0-9]+", "_", (gpu or "cpu").lower()).strip("_")
        path = facts.MEASURED / "benchmarks" / f"embed_speed_{name}.md"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
