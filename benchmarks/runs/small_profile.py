"""Cost of profile small: operations per step, and how long its three trainings take.

    python -m benchmarks.runs.small_profile folder:/data/cifar10-10k [--batch 8] [--record]
    python -m benchmarks.runs.small_profile folder:/data/cifar10-10k --device cuda [--record]

On a CPU a few steps of a small batch are timed and the total is computed from the operations; on a GPU the
profile's own trainings run in full. Operations are those of one forward pass at the profile's
batch, as torch counts them (a multiplication with an addition is two); training is taken as three passes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.parity import facts
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.captioners import colours
from uvlp.core import machine
from uvlp.core.progress import Event, Progress
from uvlp.models import autoencoder, diffuser, embedder
from uvlp.models.training import one_cycle
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes import from_scratch, profiles

PARTS = ("embedder", "autoencoder", "diffuser")
PASSES = 3  # forward, and backward as twice that
ASSUMED = 80e12  # sustained on an H200 in bfloat16, about a tenth of its peak (feasibility.md 3)
START_S = 0.03  # to start the kernels of a step, at the least (feasibility.md 3)
STEPS = 3
FEW = 256  # images on a CPU: all of them are encoded behind the training
REPORT = facts.MEASURED / "benchmarks" / "small_profile.md"


@dataclass
class Part:
    """One training.

    Attributes:
        settings: the profile's.
        flops: of the forward passes of one image.
        seconds: of all steps that ran, without what comes before and after them.
        steps, batch: that ran.
        whole_s: from the images to the saved weights.
        peak_mb: GPU memory.
    """

    settings: Any
    flops: float = 0.0
    seconds: float = 0.0
    steps: int = 0
    batch: int = 0
    whole_s: float = 0.0
    peak_mb: int | None = None

    @property
    def total(self) -> float:
        """Operations of the whole training."""
        return PASSES * self.flops * self.settings.batch * self.settings.steps

    @property
    def rate(self) -> float:
        """Operations per second that were reached."""
        return PASSES * self.flops * self.batch * self.steps / self.seconds

    @property
    def projected_s(self) -> float:
        """The whole training on an H200, by assumption."""
        return max(self.total / ASSUMED, START_S * self.settings.steps)


def measure(data: str, device: str, batch: int) -> dict[str, Part]:
    """Train the three parts one after the other, each on the result of the previous one."""
    machine.single_thread()
    dataset = open_dataset(DatasetSpec.parse(data), Path(tempfile.mkdtemp()), Progress())
    labels = dataset.labels("train")
    if device == "cpu":
        labels = labels[:FEW]
    images = dataset.images("train", range(len(labels)), 32)
    texts = colours.captions(images, [dataset.manifest.classes[label].name for label in labels])
    recipe = profiles.apply(from_scratch.recipe(10), "small")
    parts = {name: Part(getattr(recipe, name)) for name in PARTS}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name, part in parts.items():
            settings = part.settings if device == "cuda" else replace(part.settings, batch=batch, steps=STEPS)
            part.steps, part.batch = settings.steps, settings.batch
            run(name, part, settings, images, texts, root)
    return parts


def run(name: str, part: Part, settings: Any, images: Any, texts: list[str], root: Path) -> None:
    """One training with its time, operations and memory."""
    real = one_cycle.one_cycle

    def timed(what: str, model: torch.nn.Module, loss_of_step: Any, *rest: Any, **more: Any) -> None:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            loss_of_step()
        part.flops = counter.get_total_flops() / settings.batch
        started = time.monotonic()
        real(what, model, loss_of_step, *rest, **more)
        part.seconds = time.monotonic() - started

    def log(event: Event) -> None:
        if event.message:
            print(f"{name}: {event.message}")

    one_cycle.one_cycle = timed
    machine.release_gpu()
    started, progress = time.monotonic(), Progress(log, name)
    try:
        if name == "embedder":
            embedder.train(images, texts, settings, 0, root / name, progress)
        elif name == "autoencoder":
            autoencoder.train(images, settings, 0, root / name, progress)
        else:
            models = root / "embedder", root / "autoencoder"
            diffuser.train(images, texts, *models, settings, 0, root / name, progress)
    finally:
        one_cycle.one_cycle = real
    part.whole_s, part.peak_mb = time.monotonic() - started, machine.gpu_peak_memory_mb()


def report(parts: dict[str, Part], device: str, arguments: str) -> str:
    """The tables as Markdown."""
    head = ["part", "GFLOP per image, forward", "steps x batch", "PFLOP in all", "ran", "s/step", "GFLOP/s"]
    head += ["whole stage here, s", "GPU memory, MB"] if device == "cuda" else ["arithmetic for an H200, s"]
    rows = [head, ["---"] * len(head)]
    for name, part in parts.items():
        cells = [
            name,
            f"{part.flops / 1e9:.2f}",
            f"{part.settings.steps} x {part.settings.batch}",
            f"{part.total / 1e15:.1f}",
            f"{part.steps} x {part.batch}",
            f"{part.seconds / part.steps:.3f}",
            f"{part.rate / 1e9:.1f}",
        ]
        cells += (
            [f"{part.whole_s:.0f}", f"{part.peak_mb}"] if device == "cuda" else [f"{part.projected_s:.0f}"]
        )
        rows.append(cells)
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    seconds = sum(part.whole_s if device == "cuda" else part.projected_s for part in parts.values())
    kind = (
        f"Together {seconds:.0f} s, measured."
        if device == "cuda"
        else f"Together {seconds:.0f} s on an H200, **by arithmetic only**: {ASSUMED / 1e12:.0f} TFLOP/s\n"
        f"sustained, at least {1000 * START_S:.0f} ms per step. On this processor, at the rates reached:\n"
        f"{cpu_hours(parts):.0f} hours."
    )
    return f"""# Profile small: what its trainings cost

- Hardware: {facts.hardware(device)}; {facts.versions()}
- Commit: {facts.commit()}; load average {facts.load()}; one thread
- Command: `python -m benchmarks.runs.small_profile {arguments}`

{table}

{kind}
"""


def cpu_hours(parts: dict[str, Part]) -> float:
    """The whole profile on this processor at the rates that were reached."""
    return sum(part.total / part.rate for part in parts.values()) / 3600


def main() -> None:
    """Measure, print, and with --record keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="folder:PATH of 32-px colour images")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=8, help="on a CPU")
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args()
    if machine.device() != chosen.device:
        parser.error(f"this machine computes on {machine.device()}")
    os.environ.setdefault(*machine.CUBLAS_WORKSPACE)  # before the first matrix product, which is counted
    arguments = f"folder:{Path(chosen.data.partition(':')[2]).name} --device {chosen.device}"
    text = report(measure(chosen.data, chosen.device, chosen.batch), chosen.device, arguments)
    print(text)
    if chosen.record:
        REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
