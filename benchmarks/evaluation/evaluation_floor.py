"""Time of an evaluation against its network passes alone, for every network, both sides in one run.

    OMP_NUM_THREADS=1 python benchmarks/evaluation/evaluation_floor.py [--runs 5] [--only resnet-18]
        [--record]

Evaluation: a short repeat of the Minimax protocol on 100 images (20 for wide networks), validated on five
times as many, with up to 15 epochs between two validation passes, as on the digits. Passes: the same
number of forward and backward passes of the same network on random batches of the same sizes, and of
forward passes on as many validation images; no augmentation, no CutMix, no optimiser. Both sides alternate;
medians in processor seconds, which other processes on the machine disturb less than wall-clock seconds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from uvlp.core.plugins import load
from uvlp.core.progress import Progress
from uvlp.networks.parts.names import split_network
from uvlp.protocols.minimax import evaluate
from uvlp.protocols.training.images import Images, Prepared
from uvlp.protocols.training.loop import PART_PIXELS
from uvlp.recipes.evaluation import EvaluateSettings

CLASSES, BATCH = 10, 64
LIMIT = 1.3
REPORT = Path(__file__).parents[2] / "paper_tables" / "measured" / "benchmarks" / "evaluation_floor.md"


@dataclass(frozen=True)
class Case:
    """A network at an image size; epochs and passes keep one run in the range of seconds."""

    network: str
    size_px: int
    width: int
    epochs: int
    validations: int
    images: int = 100

    @property
    def validation(self) -> int:
        """Number of validation images: five times as many as are trained on, as on the digits."""
        return 5 * self.images

    @property
    def batches(self) -> list[int]:
        return [min(BATCH, self.images - start) for start in range(0, self.images, BATCH)]


CASES = (
    Case("convnet-3", 16, 32, 150, 10),
    Case("convnet-3", 32, 32, 30, 2),
    Case("convnet-3", 32, 0, 15, 1, images=20),
    Case("convnet-6", 64, 0, 15, 1, images=20),
    Case("convnet-6", 224, 0, 1, 1, images=20),
    Case("resnet-18", 32, 0, 5, 1, images=20),
    Case("resnet-18", 224, 0, 1, 1, images=20),
    Case("resnet-ap-10", 32, 0, 5, 1, images=20),
    Case("resnet-ap-10", 224, 0, 1, 1, images=20),
)


def pixels(count: int, size_px: int, seed: int) -> numpy.ndarray:
    generator = numpy.random.default_rng(seed)
    return generator.integers(0, 256, (count, size_px, size_px, 3), dtype=numpy.uint8)


def labels(count: int) -> numpy.ndarray:
    return numpy.arange(count) % CLASSES


def passes(network: nn.Module, case: Case) -> None:
    train = [torch.randn(count, 3, case.size_px, case.size_px) for count in case.batches]
    targets = [torch.arange(count) % CLASSES for count in case.batches]
    parts = torch.randn(case.validation, 3, case.size_px, case.size_px).split(
        max(1, PART_PIXELS["cpu"] // case.size_px**2)
    )
    for _ in range(case.epochs):
        for batch, wanted in zip(train, targets, strict=True):
            network.zero_grad()
            cross_entropy(network(batch), wanted).backward()
    with torch.inference_mode():
        for _ in range(case.validations):
            for part in parts:
                network(part)


def processor_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(case: Case, runs: int) -> str:
    """One row of the report."""
    settings = EvaluateSettings(
        size_px=case.size_px, width=case.width, epochs=case.epochs, validations=case.validations, flip=0.0
    )
    train = Images(pixels=pixels(case.images, case.size_px, 0), labels=labels(case.images))
    shown = torch.from_numpy(pixels(case.validation, case.size_px, 1).transpose(0, 3, 1, 2).copy())
    validation = Prepared(pixels=shown, labels=labels(case.validation))
    family, depth = split_network(case.network)
    network = load("networks", family).build(depth, classes=CLASSES, size_px=case.size_px, width=case.width)

    def evaluation() -> None:
        evaluate(
            train,
            validation,
            network=case.network,
            classes=CLASSES,
            ipc=10,
            settings=settings,
            seed=0,
            progress=Progress(),
        )

    passes(network, replace(case, epochs=1, validations=1))
    times = [(processor_s(evaluation), processor_s(lambda: passes(network, case))) for _ in range(runs)]
    evaluation_s, alone = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(first / second for first, second in times)
    verdict = "yes" if ratio <= LIMIT else "no"
    return (
        f"| {case.network} | {case.size_px} | {case.width or 'published'} "
        f"| {case.epochs} + {case.validations} | {evaluation_s:.2f} | {alone:.2f} | {ratio:.2f} | {verdict} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", help="one network, e.g. resnet-18")
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "Evaluation against its network passes alone, one thread, processor seconds, medians of "
        f"{options.runs} alternating runs; {platform.machine()}, torch {torch.__version__}.",
        "",
        f"| network | px | width | epochs + validations | evaluation | passes | ratio | within {LIMIT} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    for case in CASES:
        if options.only in (None, case.network):
            lines.append(measure(case, options.runs))
            print(lines[-1], flush=True)
    if options.record:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text("# Evaluation against its floor\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
