"""Fine-tuning steps with stored latents against encoding in every epoch, with and without checkpointing.

    python -m benchmarks.models.finetune_speed [--device cuda] [--batch 32] [--record]

On a GPU: Stable Diffusion 1.5 at full size with random weights, 512 px, JPEG files of 500 x 375 px. On a CPU:
a tiny model at 64 px, which shows only that it runs. The four kinds alternate in one
process; the first update of every turn is not counted. `--record` writes the report to
paper_tables/measured/benchmarks.
"""

from __future__ import annotations

import argparse
import itertools
import re
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from benchmarks.embedding.embed_images import write_photographs
from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from benchmarks.runs import full_size
from tests import tiny_models
from tests.models.finetuning.finetuning_jobs import encoded
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.progress import Progress
from uvlp.models.device import dtype_name, torch_dtype
from uvlp.models.diffuser import stable_diffusion_scheduler
from uvlp.models.finetuning.data import updates_per_epoch
from uvlp.models.finetuning.inputs import DECODERS, Pixels
from uvlp.models.finetuning.job import make_accelerator
from uvlp.models.finetuning.latent_cache import Stored
from uvlp.models.finetuning.loop import Training
from uvlp.models.finetuning.parts import Parts, load_parts
from uvlp.models.quiet import quiet
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import FinetuneSettings

HEAD = """# Speed of the fine-tuning

Stable Diffusion's UNet, {model}, batches of {batch} and {accumulation} batches per update, {dtype};
reading and decoding of JPEG files, encoders, optimiser and moving average are in the times. Medians over
{turns} turns of {updates} updates each, in one process, taking turns.

- Hardware: {hardware}; {versions}
- Commit: {commit}; load average at the start {load}
- Command: `python -m benchmarks.models.finetune_speed{arguments}`

"""
KINDS = list(itertools.product((True, False), (False, True)))
"""With and without gradient checkpointing, without and with stored latents."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds per update, peak memory of the GPU, seconds to store the latents."""

    update_s: list[float]
    memory_mb: float
    storing_s: float


class Clock(Progress):
    """Notes when each update ends: the loss was read by then, so the GPU is done."""

    def __init__(self) -> None:
        super().__init__()
        self.marks = list[float]()

    def at(self, done: int, total: int, what: str = "") -> None:
        """See `Progress`."""
        self.marks.append(time.perf_counter())


def full_parts(device: torch.device, dtype: torch.dtype) -> Parts:
    """Stable Diffusion 1.5 from its public configuration, random weights."""
    frozen: dict[str, Any] = {
        "vae": full_size.build(AutoencoderKL, full_size.vae_config(), device, dtype),
        "text_encoder": full_size.build(CLIPTextModel, full_size.text_config(), device, dtype),
    }
    for model in frozen.values():
        model.requires_grad_(False)
    return Parts(
        unet=full_size.build(UNet2DConditionModel, full_size.unet_config(), device, torch.float32),
        tokenizer=full_size.tokenizer(),
        noise_levels=DDPMScheduler.from_config(stable_diffusion_scheduler().config),
        dtype=dtype,
        latent=full_size.LATENT,
        **frozen,
    )


def take_turn(parts: Parts, accelerator: Any, dataset: Any, settings: FinetuneSettings, folder: Path) -> Turn:
    """Train one epoch of one kind."""
    device, images = accelerator.device, len(dataset.files("train"))
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    ids = parts.tokens(["a photo of a small red bar"] * images)
    with ThreadPoolExecutor(DECODERS) as pool, tempfile.TemporaryDirectory(dir=folder) as scratch:
        inputs: Any = Pixels(dataset, pool, settings.resolution_px)
        started = time.perf_counter()
        if settings.cache_latents:
            inputs = Stored(encoded(Path(scratch), inputs, parts, images, settings.batch))
        storing_s = time.perf_counter() - started
        clock = Clock()
        parts.unet.disable_gradient_checkpointing()
        training = Training(parts, accelerator, settings, 0, inputs, ids, clock)
        training.run(Path(scratch), lambda epoch: None)
    # The UNet stays as it was prepared: accelerate marks it, and would not prepare it a second time.
    accelerator.free_memory()
    memory_mb = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else 0.0
    update_s = [after - before for before, after in itertools.pairwise(clock.marks)]
    return Turn(update_s, memory_mb, storing_s)


def measure(options: argparse.Namespace) -> tuple[dict[tuple[bool, bool], list[Turn]], torch.dtype]:
    """Every kind `options.turns` times."""
    dtype = torch_dtype(options.precision, options.device, training=True)
    settings = FinetuneSettings(
        batch=options.batch,
        accumulation=options.accumulation,
        epochs=1,
        checkpointing_steps=10**9,
        resolution_px=full_size.IMAGE_PX if options.device == "cuda" else tiny_models.IMAGE_PX,
    )
    found: dict[tuple[bool, bool], list[Turn]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        count = options.batch * options.accumulation * options.updates
        write_photographs(folder / "photographs", count)
        spec = DatasetSpec(name="folder", argument=str(folder / "photographs"))
        dataset = open_dataset(spec, folder, Progress())
        assert updates_per_epoch(len(dataset.files("train")), settings) == options.updates
        accelerator = make_accelerator(dtype, options.device)
        if options.device == "cuda":
            parts = full_parts(accelerator.device, dtype)
        else:
            base = tiny_models.diffusion(folder / "base")
            parts = load_parts(base, dtype, accelerator.device, settings.resolution_px)
        for turn, kind in itertools.product(range(options.turns), KINDS):
            chosen = replace(settings, gradient_checkpointing=kind[0], cache_latents=kind[1])
            with quiet():
                found[kind].append(take_turn(parts, accelerator, dataset, chosen, folder))
            print(f"turn {turn + 1}: {title(kind)}", flush=True)
    return found, dtype


def title(kind: tuple[bool, bool]) -> str:
    """Text of the first column."""
    checkpointing = "gradient checkpointing" if kind[0] else "no checkpointing"
    return f"{checkpointing}, {'stored latents' if kind[1] else 'encoded each time'}"


def report(found: dict[tuple[bool, bool], list[Turn]], options: argparse.Namespace) -> str:
    """Times, ratios and single turns."""
    head = ["", "update, s", "batches per s", "images per s", "GPU memory, MB", "storing, images per s"]
    rows, median_s = [], {}
    for kind, turns in found.items():
        median_s[kind] = statistics.median(second for turn in turns for second in turn.update_s)
        batches = options.accumulation / median_s[kind]
        memory = max(turn.memory_mb for turn in turns)
        stored = options.batch * options.accumulation * options.updates
        storing = f"{stored / statistics.median(turn.storing_s for turn in turns):.1f}" if kind[1] else ""
        rows.append(
            [
                *(title(kind), f"{median_s[kind]:.3f}", f"{batches:.2f}", f"{batches * options.batch:.1f}"),
                *(f"{memory:.0f}" if memory else "", storing),
            ]
        )
    for checkpointing in (True, False):
        ratio = median_s[checkpointing, False] / median_s[checkpointing, True]
        name = "with" if checkpointing else "without"
        rows.append(
            [f"encoded each time / stored, {name} gradient checkpointing", f"**{ratio:.2f}**", "", "", "", ""]
        )
    single = "; ".join(
        f"{title(kind)} " + ", ".join(f"{statistics.median(turn.update_s):.3f}" for turn in turns)
        for kind, turns in found.items()
    )
    note = "Storing encodes every image and its mirror image, once for all epochs."
    return f"{table(head, rows)}\n{note}\n\nMedian of each turn, s: {single}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--accumulation", type=int, default=4)
    parser.add_argument("--updates", type=int, default=4, help="per turn, the first is not counted")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write the report")
    options = parser.parse_args()
    conditions = SimpleNamespace(load=facts.load(), hardware=facts.hardware(options.device))
    found, dtype = measure(options)
    names = ("device", "precision", "batch", "accumulation", "updates", "turns")
    arguments = [
        f" --{name} {getattr(options, name)}"
        for name in names
        if getattr(options, name) != parser.get_default(name)
    ]
    text = HEAD.format(
        model="full size at 512 px" if options.device == "cuda" else "a tiny one at 64 px",
        batch=options.batch,
        accumulation=options.accumulation,
        dtype=dtype_name(dtype),
        turns=options.turns,
        updates=options.updates - 1,
        hardware=conditions.hardware,
        versions=facts.versions(),
        commit=facts.commit(),
        load=conditions.load,
        arguments="".join(arguments),
    ) + report(found, options)
    print(text)
    if options.record:
        gpu = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
        name = re.sub("[^a-z0-9]+", "-", gpu.lower()).strip("-")
        (facts.MEASURED / "benchmarks" / f"finetune_speed_{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
