"""Images of a class-conditional DiT by guided ancestral sampling (evaluation.md 5.1)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import torch_generator
from uvlp.methods.algorithms.dit_settings import Settings
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.device import arithmetic, matrix_products, send
from uvlp.models.dit import diffusion, layout
from uvlp.models.dit.diffusion import Chain
from uvlp.models.quantise import to_bytes

Batch = tuple[list[int], NDArray[np.uint8]]


def sampled(
    inputs: MethodInput, settings: Settings, progress: Progress, done: int, model: str, method: str
) -> Iterator[Batch]:
    """Yield batches of images, class after class, without the first ``done``.

    Args:
        inputs: with the DiTPipeline folder ``model`` and the labels of the classes.
        progress: reports the steps of a batch.
        method: name of the method, for errors.

    Raises:
        UvlpError: a damaged model, images that are not finite, or too little GPU memory.
    """
    drawn = _Sampler(inputs.models[model], settings, inputs.device)
    rows = range(len(inputs.classes) * inputs.ipc)
    for first in range(done, len(rows), settings.batch):
        batch = list(rows[first : first + settings.batch])
        labels = [inputs.labels[row // inputs.ipc] for row in batch]
        noise = [
            drawn.noise(inputs.seed, inputs.classes[row // inputs.ipc].id, row % inputs.ipc) for row in batch
        ]
        with _enough_memory(method, settings.batch):
            images = drawn.images(labels, torch.stack(noise), progress)
        if not images.isfinite().all():
            fix = f"lower the guidance: --set {method}.guidance={settings.guidance / 2:g}"
            raise UvlpError(f"images of {method} are not finite", fix=fix)
        yield batch, to_bytes(images)


class _Sampler:
    """A DiT and its autoencoder on a device."""

    def __init__(self, folder: Path, settings: Settings, device: str) -> None:
        self._settings, self._device = settings, device
        self._network = layout.load(folder).to(device)
        self._autoencoder = Autoencoder.load(folder, "vae", device)
        self._process = diffusion.chain(settings.steps, device)

    def noise(self, seed: int, class_id: str, slot: int) -> Tensor:
        """Return the noise [steps,C,h,w] of one image; equal for `dit` and `minimax`, in any batch."""
        network = self._network
        shape = (self._settings.steps, network.channels, network.side, network.side)
        return torch.randn(shape, generator=torch_generator(seed, "dit", "noise", class_id, slot))

    @torch.inference_mode()
    def images(self, labels: Sequence[int], noise: Tensor, progress: Progress) -> Tensor:
        """Sample and decode images [n,3,H,W], about [-1,1]; ``noise`` is [n,steps,C,h,w]."""
        given = send(torch.tensor(labels), self._device)
        tf32 = matrix_products("high") if self._device == "cuda" else contextlib.nullcontext()
        with arithmetic(self._device, "tf32", deterministic=True), tf32:
            latents = sample(
                self._network,
                self._process,
                given,
                send(noise, self._device),
                null=self._network.classes,
                guidance=self._settings.guidance,
                progress=progress,
            )
            return self._autoencoder.pixels(latents)


def sample(
    network: nn.Module,
    process: Chain,
    labels: Tensor,
    noise: Tensor,
    *,
    null: int,
    guidance: float,
    progress: Progress,
) -> Tensor:
    """Sample latents [n,C,h,w] by all steps of the process.

    Args:
        network: predicts noise and variance from latents, timesteps and labels.
        process: the respaced process, of S steps.
        labels: int64 [n].
        noise: standard normal [n,S,C,h,w]: the initial latents, then the noise of every step but the last.
        null: the null label.
        guidance: scale of classifier-free guidance.
        progress: reports every step.
    """
    steps, both = len(process.timesteps), torch.cat((labels, torch.full_like(labels, null)))
    noisy = noise[:, 0]
    for step in progress.track(range(steps - 1, -1, -1), "steps of a batch"):
        timesteps = process.timesteps[step].expand(len(both))
        labelled, unlabelled = network(torch.cat((noisy, noisy)), timesteps, both).chunk(2)
        output = diffusion.guided(labelled, unlabelled, guidance)
        # The last step adds no noise.
        noisy = diffusion.sample_step(process, output, noisy, step, noise[:, (steps - step) % steps])
    return noisy


@contextlib.contextmanager
def _enough_memory(method: str, batch: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        fix = f"stop other programs on the GPU, or --set {method}.batch={max(1, batch // 2)}"
        raise machine.too_little_gpu_memory(f"for {method} in batches of {batch}", fix) from error
