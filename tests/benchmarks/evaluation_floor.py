"""How far an evaluation is from its network passes alone, both measured in one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/evaluation_floor.py [--runs 5] [--size-px 16] [--width 32]

Evaluation: a repeat of the Minimax protocol on 100 images, validated 20 times on 490. Passes: the same
number of forward and backward passes of the same network on batches of 64 and 36 random images, and of
forward passes on the validation images; no augmentation, no CutMix, no optimiser. Prints medians in
processor seconds, which neighbours on the machine disturb less than wall-clock seconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from uvlp.blocks.image_sets import Images
from uvlp.core.plugins import load
from uvlp.core.progress import Progress
from uvlp.evaluators.minimax import evaluate
from uvlp.recipes.schema import EvaluateSettings

CLASSES, TRAIN, VALIDATION, BATCHES = 10, 100, 490, (64, 36)


def images(count: int, size_px: int, seed: int) -> Images:
    pixels = numpy.random.default_rng(seed).integers(0, 256, (count, size_px, size_px, 3), dtype=numpy.uint8)
    return Images(pixels=pixels, labels=numpy.arange(count) % CLASSES)


def passes(network: nn.Module, size_px: int, epochs: int, validations: int) -> None:
    train = [torch.randn(count, 3, size_px, size_px) for count in BATCHES]
    labels = [torch.arange(count) % CLASSES for count in BATCHES]
    validation = torch.randn(VALIDATION, 3, size_px, size_px)
    for _ in range(epochs):
        for batch, targets in zip(train, labels, strict=True):
            network.zero_grad()
            cross_entropy(network(batch), targets).backward()
    with torch.inference_mode():
        for _ in range(validations):
            network(validation)


def processor_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size-px", type=int, default=16)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    size_px = options.size_px
    settings = EvaluateSettings(
        size_px=size_px, width=options.width, epochs=options.epochs, validations=20, flip=0.0
    )
    train, validation = images(TRAIN, size_px, 0), images(VALIDATION, size_px, 1)
    network = load("networks", "convnet").build(3, classes=CLASSES, size_px=size_px, width=options.width)

    def evaluation() -> None:
        evaluate(
            train,
            validation,
            network="convnet-3",
            classes=CLASSES,
            ipc=10,
            settings=settings,
            seed=0,
            progress=Progress(),
        )

    passes(network, size_px, 3, 1)
    times = [
        (processor_s(evaluation), processor_s(lambda: passes(network, size_px, options.epochs, 20)))
        for _ in range(options.runs)
    ]
    whole, alone = (statistics.median(column) for column in zip(*times, strict=True))
    fastest, fastest_alone = (min(column) for column in zip(*times, strict=True))
    ratio = statistics.median(first / second for first, second in times)
    print(f"convnet-3, width {options.width}, {size_px} px, {options.epochs} epochs, {options.runs} runs")
    print(f"medians: evaluation {whole:.2f} s, network passes {alone:.2f} s, ratio of a pair {ratio:.2f}")
    print(f"fastest: evaluation {fastest:.2f} s, network passes {fastest_alone:.2f} s")
    print("single runs: " + ", ".join(f"{first:.2f}/{second:.2f}" for first, second in times))


if __name__ == "__main__":
    main()
