"""Time of an iteration of DM against a loop that augments one image after the other.

    python benchmarks/dm_speed.py --iterations 5

Both sides run in this process, on one thread, alternating, with the same draws of the same images through the
same networks; the smallest time of each counts. The digits at 16 px, IPC 10, as in profile tiny.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.progress import Progress
from uvlp.methods.algorithms.method_input import MethodInput, build
from uvlp.methods.algorithms.optimising import siamese_augmentation
from uvlp.methods.algorithms.optimising.distribution_matching import DistributionMatching
from uvlp.methods.dm import PROFILES, Settings, network
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes import overrides

IPC, SIZE_PX = 10, 16
AUGMENT = siamese_augmentation.augment


def one_by_one(images: Tensor, draws: siamese_augmentation.Draws) -> Tensor:
    """Augment images as `siamese_augmentation.augment` does, each on its own."""
    return torch.cat([AUGMENT(image[None], draws) for image in images])


def optimisation(inputs: MethodInput) -> DistributionMatching:
    settings = overrides.merge(Settings(), PROFILES["tiny"])
    return DistributionMatching(inputs, settings, network(settings, SIZE_PX), Progress())


def timed(made: DistributionMatching, iteration: int) -> float:
    start = time.perf_counter()
    made.step(iteration)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        dataset = open_dataset(DatasetSpec(name="digits"), Path(cache), Progress())
        inputs = build(dataset, IPC, 0, {}, size_px=SIZE_PX, flip=False)
        ours, plain = optimisation(inputs), optimisation(inputs)
    ours_s, plain_s = [], []
    for iteration in range(1, options.iterations + 1):
        ours_s.append(timed(ours, iteration))
        siamese_augmentation.augment = one_by_one
        try:
            plain_s.append(timed(plain, iteration))
        finally:
            siamese_augmentation.augment = AUGMENT
    difference = float((ours.images() - plain.images()).abs().max())
    print(f"image by image: {1000 * min(plain_s):.0f} ms an iteration")
    print(f"in batches:     {1000 * min(ours_s):.0f} ms an iteration")
    print(f"ratio:          {min(plain_s) / min(ours_s):.1f}")
    print(f"largest difference of a pixel in [0, 1]: {difference:.1e}")


if __name__ == "__main__":
    main()
