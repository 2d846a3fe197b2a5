"""Time of an iteration of DM against loops that augment one image after the other.

    python -m benchmarks.methods.dm_speed --iterations 10

`plain loop` is written as the published code: class after class, real and synthetic images each in a pass of
their own, torch's pooling, and every image augmented on its own. `augmentation alone` is our iteration with
nothing but the augmentation replaced. All sides run in this process, on one thread and with the memory
allocator set as in our workers, and take the same iterations from the same state one after the other, with
the same draws. Time is the processor's, which other work changes less; the smallest of several times of an
iteration counts, and the times of all iterations are added, because one that draws rotations takes longer
than one that draws shifts. The digits at 16 px, IPC 10, as in profile tiny: the network takes four fifths of
our time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.methods.algorithms.method_input import MethodInput, build
from uvlp.methods.algorithms.optimising import siamese_augmentation
from uvlp.methods.algorithms.optimising.distribution_matching import DistributionMatching, MeanMatching
from uvlp.methods.dm import PROFILES, Settings, network
from uvlp.networks.parts.layers import AveragePool
from uvlp.pipeline.datasets import open_dataset
from uvlp.protocols.training.augment import normalise
from uvlp.recipes import overrides

IPC, SIZE_PX = 10, 16
AUGMENT_ALIKE = siamese_augmentation.augment_alike


def one_by_one(images: Tensor, draws: siamese_augmentation.Draws) -> Tensor:
    """Augment images as `siamese_augmentation.augment` does, each on its own."""
    return torch.cat([AUGMENT_ALIKE([image[None]], draws)[0] for image in images])


def alike(batches: Sequence[Tensor], draws: siamese_augmentation.Draws) -> list[Tensor]:
    """As `siamese_augmentation.augment_alike`, image after image."""
    return [one_by_one(images, draws) for images in batches]


def plain_gradient(matching: Any, pixels: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
    """As `MeanMatching.gradient`, class after class."""
    inputs, real = matching._inputs, matching.real
    pixels = pixels.detach().requires_grad_()
    net = matching._random_network(iteration)
    loss = torch.zeros(())
    for index in range(len(real)):
        generator = numpy_generator(inputs.seed, "dm", "batch", iteration, index)
        batch = normalise(real.draw(index, matching._settings.real_batch, generator))
        draws = siamese_augmentation.draw(generator, matching._operations, SIZE_PX, single=True)
        own = pixels[index * IPC : (index + 1) * IPC]
        means = [net.embed(one_by_one(images, draws)).mean(0) for images in (batch, own)]
        loss = loss + (means[0] - means[1]).square().sum()
    loss.backward()
    assert pixels.grad is not None
    return loss.detach(), pixels.grad


@contextlib.contextmanager
def plain_loop() -> Iterator[None]:
    with (
        mock.patch.object(MeanMatching, "gradient", plain_gradient),
        mock.patch.object(AveragePool, "forward", lambda _, features: avg_pool2d(features, 2)),
    ):
        yield


SIDES: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "ours": contextlib.nullcontext,
    "augmentation alone": lambda: mock.patch.object(siamese_augmentation, "augment_alike", alike),
    "plain loop": plain_loop,
}


def timed(made: DistributionMatching, iteration: int, repeats: int) -> float:
    """Return the smallest processor time of one iteration, done several times from the same state."""
    state = {name: tensor.clone() for name, tensor in made.state().items()}
    seconds = []
    for _ in range(repeats):
        made.restore(state)
        start = time.process_time()
        made.step(iteration)
        seconds.append(time.process_time() - start)
    return min(seconds)


def as_worker() -> None:
    """Start this program again in the environment of a worker, unless it is in it."""
    environment = os.environ | machine.thread_environment()
    if environment != os.environ:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def optimisations() -> dict[str, DistributionMatching]:
    settings = overrides.merge(Settings(), PROFILES["tiny"])

    def made(inputs: MethodInput) -> DistributionMatching:
        return DistributionMatching(inputs, settings, network(settings, SIZE_PX), Progress())

    with tempfile.TemporaryDirectory() as cache:
        dataset = open_dataset(DatasetSpec(name="digits"), Path(cache), Progress())
        inputs = build(dataset, IPC, 0, {}, size_px=SIZE_PX, flip=False)
        return {side: made(inputs) for side in SIDES}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="times of each iteration; the smallest counts")
    options = parser.parse_args()
    as_worker()
    torch.set_num_threads(1)
    made = optimisations()
    seconds = dict.fromkeys(SIDES, 0.0)
    for iteration in range(1, options.iterations + 1):
        for side, context in SIDES.items():
            with context():
                seconds[side] += timed(made[side], iteration, options.repeats)
    for side in SIDES:
        milliseconds = 1000 * seconds[side] / options.iterations
        ratio = seconds[side] / seconds["ours"]
        difference = float((made[side].images() - made["ours"].images()).abs().max())
        print(f"{side:18} {milliseconds:4.0f} ms an iteration, {ratio:.1f} times ours", end="; ")
        print(f"pixels differ by at most {difference:.1e}")


if __name__ == "__main__":
    main()
