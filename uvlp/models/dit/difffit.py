"""Fine-tune a DiT by DiffFit with the criteria of Minimax-Diffusion, and save it like the original.

Gu et al., Efficient Dataset Distillation via Minimax Diffusion, CVPR 2024; Xie et al., DiffFit, ICCV 2023
(evaluation.md 5.1). The scales are multiplied into the weights, so that the result is an ordinary DiT.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvlp.core import machine, prefetch
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator, torch_generator
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.device import send
from uvlp.models.dit import diffusion, layout
from uvlp.models.dit.criteria import Memory, criteria
from uvlp.models.dit.network import DiT
from uvlp.models.dit.scales import add_scales, merge_scales, trained_names
from uvlp.models.training import one_cycle
from uvlp.models.training.training_state import Average
from uvlp.recipes.dit import DiffFitSettings

REVISION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The training images.

    Attributes:
        read: reads rows as uint8 [n, H, W, 3], from several threads.
        classes: index of the class of every row.
        labels: label of every class in the DiT.
    """

    read: Callable[[Sequence[int]], NDArray[np.uint8]]
    classes: Sequence[int]
    labels: Sequence[int]


class _Trained(nn.Module):
    """What a checkpoint contains: the network, the memories, and the number of steps."""

    done: Tensor

    def __init__(self, network: DiT, classes: int, memory: int) -> None:
        super().__init__()
        values = network.channels * network.side**2
        self.network = network
        self.real, self.generated = Memory(classes, values, memory), Memory(classes, values, memory)
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))


def train(
    images: Images,
    model: Path,
    settings: DiffFitSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    partial: Path | None = None,
) -> None:
    """Fine-tune the DiT in ``model``; write the averaged network and its autoencoder to ``folder``.

    Args:
        partial: folder for checkpoints (see `one_cycle.one_cycle`).

    Raises:
        UvlpError: a damaged model, or see `one_cycle.one_cycle`.
    """
    device = machine.device()
    autoencoder = Autoencoder.load(model, "vae", device)
    network = _prepared(layout.load(model))
    trained = _Trained(network, len(images.labels), settings.memory).to(device)
    batch = min(settings.batch, len(images.classes))
    steps = settings.steps or settings.epochs * (len(images.classes) // batch)
    schedule = replace(settings, steps=steps, batch=batch)
    generator = torch_generator(seed, "difffit", "batches")
    average = Average(list(trained.parameters()), settings.ema, warm_up=False)
    with closing(_batches(images, trained, schedule, seed)) as batches:
        one_cycle.one_cycle(
            "difffit",
            trained,
            lambda: _loss(trained, next(batches), images, autoencoder, settings, generator),
            schedule,
            generator=generator,
            progress=progress,
            average=average,
            partial=partial,
            rule=one_cycle.CONSTANT,
        )
    average.use()
    merge_scales(network.cpu())
    layout.save(network, model / "vae", folder)


def _prepared(network: DiT) -> DiT:
    add_scales(network, len(network.blocks) // 2)  # as published: 14 of 28
    trained = set(trained_names(network))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    return network


def _batches(
    images: Images, trained: _Trained, schedule: DiffFitSettings, seed: int
) -> Generator[tuple[list[int], NDArray[np.uint8]], None, None]:
    """Yield rows and images of the steps that are left; every epoch is a new permutation, cut to batches.

    It begins when the first batch is requested, after a checkpoint was loaded.
    """
    per_epoch, size = len(images.classes) // schedule.batch, schedule.batch

    def rows(step: int) -> list[int]:
        epoch, place = divmod(step, per_epoch)
        order = numpy_generator(seed, "difffit", "order", epoch).permutation(len(images.classes))
        return [int(row) for row in order[place * size : (place + 1) * size]]

    left = (rows(step) for step in range(int(trained.done), schedule.steps))
    yield from prefetch.in_order(lambda part: (part, images.read(part)), left)


def _loss(
    trained: _Trained,
    batch: tuple[list[int], NDArray[np.uint8]],
    images: Images,
    autoencoder: Autoencoder,
    settings: DiffFitSettings,
    generator: torch.Generator,
) -> Tensor:
    """Return the diffusion loss and the weighted criteria of a batch."""
    (rows, pixels), device = batch, trained.done.device.type
    if settings.random_flip:
        mirrored = (torch.rand(len(rows), generator=generator) < 0.5).numpy()
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    mean, deviation = autoencoder.posterior(pixels)
    times = send(torch.randint(diffusion.TRAINED_STEPS, (len(rows),), generator=generator), device)
    sample, noise = send(torch.randn((2, *mean.shape), generator=generator), device)
    classes = torch.tensor([images.classes[row] for row in rows])
    labels = send(torch.tensor(images.labels)[classes], device)
    process, clean = diffusion.chain(device=device), mean + deviation * sample
    output = trained.network(diffusion.noised(process, clean, times, noise), times, labels).float()
    losses = diffusion.training_losses(process, output, clean, noise, times)
    terms = criteria(clean, losses.predicted, classes.to(device), trained.real, trained.generated)
    trained.done += 1
    return (
        (losses.mse + losses.bound).mean()
        + settings.representativeness * terms.representativeness
        + settings.diversity * terms.diversity
    )
