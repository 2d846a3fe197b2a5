"""LLaVA's captions in batches against one image at a time, both in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.models.caption_speed [--record]
    python -m benchmarks.models.caption_speed --device cuda [--batch 32] [--tokens 128] [--record]

On a GPU: LLaVA-1.5-7B at full size with random weights, 336 px, 576 tokens per image, in the number type
that captions are made in. On a CPU: the tiny model of the tests. Images of 500 x 375 px of random pixels;
the time runs from pixels to texts: padding, resizing, generation, decoding of the tokens. No answer may end
early, so that all have the same length. The two sides alternate; their medians are compared. `--record`
writes the report to paper_tables/measured/benchmarks.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
import torch

from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from benchmarks.runs import full_size
from tests import tiny_models
from uvlp.captioners import llava
from uvlp.captioners.llava import Llava
from uvlp.core import machine
from uvlp.models.device import dtype_name, torch_dtype
from uvlp.recipes.schema import CaptionSettings

NAMES = ("tench, Tinca tinca", "English springer, English springer spaniel", "church, church building")
SOURCE = (375, 500)
HEAD = """# Speed of LLaVA's captions

batched: `uvlp/captioners/llava.py` with batches of {batch} images; single: the same with one image at a
time, as in LLaVA's own evaluation script. Greedy, {tokens} new tokens per image, none allowed to end early;
images of 500 x 375 px, from pixels to texts. Medians of {runs} alternating runs after one to warm up.
{model}

- Hardware: {hardware}; {versions}
- Commit: {commit}; load average at the start {load}
- Command: `python -m benchmarks.models.caption_speed{arguments}`

"""


@contextmanager
def opened(device: str, settings: CaptionSettings) -> Iterator[tuple[Llava, str]]:
    """The model to measure and its description."""
    if device == "cpu":
        with tempfile.TemporaryDirectory() as folder:
            tiny_models.llava(Path(folder))
            with llava.opened(Path(folder), settings, "auto") as model:
                yield (
                    model,
                    "The tiny random model of the tests, float32: not representative of the full size.",
                )
        return
    dtype = torch_dtype("auto", device)
    model, processor = full_size.llava(device, dtype)
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e9
    description = f"LLaVA-1.5-7B from its configuration, {count:.2f} G random weights, {dtype_name(dtype)}."
    yield Llava(model, processor, settings), description


def images(count: int) -> list[numpy.ndarray]:
    stream = numpy.random.default_rng(0)
    return [stream.integers(0, 256, (*SOURCE, 3), dtype=numpy.uint8) for _ in range(count)]


def seconds(work: Callable[[], None]) -> float:
    """How long ``work`` takes, the GPU included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(model: Llava, options: argparse.Namespace) -> dict[str, tuple[list[float], int, float]]:
    """Per side the seconds of every run, the images of a run, and the GPU's peak memory in GiB."""
    pixels = images(options.batch)
    names = [NAMES[index % len(NAMES)] for index in range(options.batch)]

    def batched() -> None:
        model.answers(pixels, names, range(len(pixels)))

    def single() -> None:
        for index in range(options.singles):
            model.answers(pixels[index : index + 1], names[index : index + 1], [index])

    found: dict[str, tuple[list[float], int, float]] = {}
    sides = {"single": (single, options.singles), "batched": (batched, options.batch)}
    for work, _ in sides.values():
        work()
    for _ in range(options.runs):
        for side, (work, count) in sides.items():
            if options.device != "cpu":
                torch.cuda.reset_peak_memory_stats()
            took_s = seconds(work)
            peak_gib = torch.cuda.max_memory_allocated() / 2**30 if options.device != "cpu" else 0.0
            runs, _, before_gib = found.get(side, ([], count, 0.0))
            found[side] = ([*runs, took_s], count, max(before_gib, peak_gib))
    return found


def report(found: dict[str, tuple[list[float], int, float]], tokens: int) -> str:
    """Speeds of both sides, their ratio, every run."""
    rows, speeds = [], {}
    for side, (runs, count, peak_gib) in found.items():
        speeds[side] = count * tokens / statistics.median(runs)
        memory = f"{peak_gib:.1f}" if peak_gib else ""
        rows.append([side, f"{speeds[side]:.1f}", f"{speeds[side] / tokens:.2f}", memory])
    rows.append(["batched / single", f"**{speeds['batched'] / speeds['single']:.1f}**", "", ""])
    single_runs = "; ".join(
        f"{side} " + ", ".join(f"{run:.2f}" for run in runs) for side, (runs, _, _) in found.items()
    )
    head = ["", "tokens/s", "images/s", "peak GPU memory, GiB"]
    return f"{table(head, rows)}\nSingle runs, s: {single_runs}.\n"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128, help="new tokens per image")
    parser.add_argument("--singles", type=int, default=4, help="images of a run one at a time")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write the report")
    options = parser.parse_args()
    options.singles = min(options.singles, options.batch)
    return options


def main() -> None:
    options = parsed()
    if options.device == "cpu":
        torch.set_num_threads(1)
    load = facts.load()
    settings = CaptionSettings(captioner="llava", batch=options.batch, max_new_tokens=options.tokens)
    with opened(options.device, settings) as (model, description):
        model._model.generation_config.min_new_tokens = options.tokens
        found = measure(model, options)
    flags = {"--device": options.device, "--batch": options.batch, "--tokens": options.tokens}
    text = HEAD.format(
        batch=options.batch,
        tokens=options.tokens,
        runs=options.runs,
        model=description,
        hardware=facts.hardware(options.device),
        versions=facts.versions(),
        commit=facts.commit(),
        load=load,
        arguments="".join(f" {flag} {value}" for flag, value in flags.items()),
    ) + report(found, options.tokens)
    print(text)
    if options.record:
        folder = facts.MEASURED / "benchmarks"
        folder.mkdir(parents=True, exist_ok=True)
        where = (machine.gpu_name() if options.device == "cuda" else None) or "cpu"
        name = re.sub(r"[^a-z0-9]+", "-", where.lower())
        (folder / f"caption_speed_{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
