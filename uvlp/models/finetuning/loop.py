"""The training loop of the Stable Diffusion UNet, in one process or several (methods.md B.2).

The processes share the images of every update, i.e. of all its published batches, so that many GPUs do not
get a few images each; their number affects only rounding.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.device import send
from uvlp.models.finetuning import checkpoints
from uvlp.models.finetuning.data import (
    Draws,
    Update,
    draw,
    joined,
    share,
    to_unit,
    updates,
    updates_per_epoch,
)
from uvlp.models.finetuning.parts import Parts
from uvlp.recipes.schema import FinetuneSettings

Inputs = Callable[[NDArray[np.int64], Draws], Tensor]
"""Rows and their draws -> float16 [n, 2, 4, h, w] cached moments, or uint8 [n, 3, S, S] pixels."""
TRIALS = 2
"""Updates before which several processes try their memory: the optimiser's state exists after the first."""
LESS_MEMORY = (
    "use --set finetune.gradient_checkpointing=true, or smaller batches with the same product, e.g. "
    "--set finetune.batch=16 --set finetune.accumulation=8; completed stages are kept"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Images that this process computes at once, in host memory.

    Attributes:
        inputs: see `Inputs`.
        weights: float32 [n], weight of each image in the mean of its published batch, times the processes.
    """

    inputs: Tensor
    ids: Tensor
    draws: Draws
    weights: Tensor

    def pick(self, which: slice) -> Loaded:
        """Return the part for some images."""
        draws = self.draws.pick(which)
        return Loaded(
            inputs=self.inputs[which], ids=self.ids[which], draws=draws, weights=self.weights[which]
        )


class Training:
    """The UNet and the state of its training.

    Args:
        parts: models; the UNet is trained in place.
        accelerator: accelerate's, for devices, processes and mixed precision.
        settings: of the stage.
        seed: all randomness is derived from it.
        inputs: returns pixels or cached latents.
        ids: int32 [N, L], token ids of every caption.
        progress: of the main process.
    """

    def __init__(
        self,
        parts: Parts,
        accelerator: Any,
        settings: FinetuneSettings,
        seed: int,
        inputs: Inputs,
        ids: NDArray[np.int32],
        progress: Progress,
    ) -> None:
        from diffusers.training_utils import EMAModel

        self.parts, self.accelerator, self.settings, self.seed = parts, accelerator, settings, seed
        self._inputs, self._ids, self._progress = inputs, ids, progress
        self.unet = parts.unet
        self.unet.train()
        if settings.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        if accelerator.device.type == "cuda":
            self.unet.to(memory_format=torch.channels_last)  # fastest for half-precision convolutions
        self.average = (
            EMAModel(self.unet.parameters(), decay=settings.ema_decay, foreach=True)
            if settings.use_ema
            else None
        )
        optimiser = torch.optim.AdamW(
            self.unet.parameters(),
            lr=settings.lr,
            betas=(settings.adam_beta1, settings.adam_beta2),
            eps=settings.adam_epsilon,
            weight_decay=settings.adam_weight_decay,
            fused=True,
        )
        self.model, self.optimiser = accelerator.prepare(self.unet, optimiser)
        checkpoints.free_of_processes(accelerator)
        self.log: list[str] = []
        self.splits = 1
        """Number of parts in which each batch is computed, if a full batch does not fit into GPU memory."""

    def run(self, folder: Path, at_epoch: Callable[[int], None]) -> None:
        """Train to the end, from the latest intact checkpoint in ``folder``.

        Args:
            at_epoch: called after each epoch with its number, from 1.

        Raises:
            UvlpError: the loss is not finite, or too little GPU memory.
        """
        settings, images = self.settings, len(self._ids)
        done = self._resume(folder)
        total = settings.epochs * updates_per_epoch(images, settings)
        started, seen = time.monotonic(), 0
        for number, (update, loaded) in enumerate(self._ahead(updates(images, settings, self.seed, done))):
            if number < TRIALS and self.accelerator.num_processes > 1:
                self._agree(loaded)
            loss = self._update(update, loaded, total)
            seen += sum(len(batch.rows) for batch in update.batches)
            lr = self.optimiser.param_groups[0]["lr"]
            self.log.append(json.dumps({"step": update.step, "loss": loss, "lr": lr}) + "\n")
            speed = seen / (time.monotonic() - started)
            self._progress.point(update.step, total, loss=loss, lr=lr, images_per_s=speed)
            if update.ends_epoch:
                at_epoch(update.epoch + 1)
            if update.step % settings.checkpointing_steps == 0:
                self._checkpoint(update.step, folder)  # last: a resumed run repeats nothing before it
            self._progress.at(update.step, total, "updates")

    def _resume(self, folder: Path) -> int:
        """Load the latest checkpoint; return the number of completed updates."""
        main = self.accelerator.is_main_process
        if main:
            checkpoints.latest(folder, self._progress.log)  # deletes damaged ones before others list them
        self.accelerator.wait_for_everyone()
        checkpoint, step = checkpoints.latest(folder, lambda _: None)
        if checkpoint is not None:
            self._progress.log(f"resuming from {checkpoint.name}")
            self.log = checkpoints.load(self.accelerator, self.average, checkpoint, step)
        return step

    def _checkpoint(self, step: int, folder: Path) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            limit = self.settings.checkpoints_total_limit
            checkpoints.save(self.accelerator, self.average, self.log, step, folder, limit)
        self.accelerator.wait_for_everyone()

    def _ahead(self, todo: Iterator[Update]) -> Iterator[tuple[Update, list[Loaded]]]:
        """Yield every update with its inputs, which are loaded while the previous update is computed."""
        with ThreadPoolExecutor(1) as reader:
            pending = None
            for update in todo:
                submitted = (update, reader.submit(self._load, update))
                if pending is not None:
                    yield pending[0], pending[1].result()
                pending = submitted
            if pending is not None:
                yield pending[0], pending[1].result()

    def _load(self, update: Update) -> list[Loaded]:
        """Return this process's images of an update, at most as many at once as in a batch.

        With one process these are the published batches.
        """
        processes = self.accelerator.num_processes
        rows = np.concatenate([batch.rows for batch in update.batches])
        weights = np.concatenate(
            [np.full(len(batch.rows), processes / len(batch.rows), np.float32) for batch in update.batches]
        )
        mine = share(len(rows), self.accelerator.process_index, processes)
        if mine.start == mine.stop:
            # All processes must participate: without an image, compute one with weight zero.
            mine, weights = slice(0, 1), np.zeros(1, np.float32)
        draws = joined(
            [
                draw(batch, self.seed, self.parts.latent, self._timesteps, self.settings)
                for batch in update.batches
            ]
        )
        return [
            self._read(rows[some], draws.pick(some), weights[some])
            for some in _cut(mine, self.settings.batch)
        ]

    def _read(self, rows: NDArray[np.int64], draws: Draws, weights: NDArray[np.float32]) -> Loaded:
        return Loaded(
            inputs=self._inputs(rows, draws),
            ids=torch.from_numpy(self._ids[rows]).long(),
            draws=draws,
            weights=torch.from_numpy(weights),
        )

    @property
    def _timesteps(self) -> int:
        return int(self.parts.noise_levels.config.num_train_timesteps)

    def _update(self, update: Update, loaded: Sequence[Loaded], total: int) -> float:
        """Take one optimiser step; return the mean loss of its batches."""
        settings = self.settings
        loss = self.accelerator.reduce(self._gradients(loaded), "mean").item() / len(update.batches)
        if not math.isfinite(loss):
            raise UvlpError(
                f"the loss of the fine-tuning is not finite: update {update.step} of {total}",
                fix=f"lower the learning rate: --set finetune.lr={settings.lr / 4:g}, or use another "
                "precision: --set models.precision=bfloat16 or float32",
            )
        self.accelerator.clip_grad_norm_(self.unet.parameters(), settings.max_grad_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(update.step, settings)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.step(self.unet.parameters())
        return loss

    def _gradients(self, loaded: Sequence[Loaded]) -> Tensor:
        """Compute the gradients of an update; return this process's share of the sum of its batches' losses.

        Raises:
            UvlpError: out of memory, and batches cannot be split further.
        """
        while True:
            try:
                return self._accumulate(loaded)
            except torch.OutOfMemoryError as error:
                # With several processes the others already wait for the gradients of this one.
                if self.accelerator.num_processes > 1 or self.splits >= self.settings.batch:
                    raise too_little_memory() from error
            # Outside the except clause the exception is freed, and with it the tensors of its traceback.
            self._split()

    def _agree(self, loaded: Sequence[Loaded]) -> None:
        """Split batches so far that the first part fits on the GPU of every process.

        Raises:
            UvlpError: out of memory, and batches cannot be split further.
        """
        fits = False
        while not fits:
            try:
                with self.accelerator.no_sync(self.model):
                    self.accelerator.backward(self._loss(next(self._parts(loaded[0]))))
                fits = True
            except torch.OutOfMemoryError as error:
                if self.splits >= self.settings.batch:
                    raise too_little_memory() from error
            if not fits:
                self._split()
        self.optimiser.zero_grad()
        own = torch.tensor([self.splits], device=self.accelerator.device)
        self.splits = int(self.accelerator.gather(own).max())

    def _split(self) -> None:
        self.optimiser.zero_grad()
        torch.cuda.empty_cache()
        self.splits *= 2
        self._progress.log(
            f"out of GPU memory: computing each batch of {self.settings.batch} in {self.splits} parts; "
            "results differ only by rounding"
        )

    def _accumulate(self, loaded: Sequence[Loaded]) -> Tensor:
        loss = torch.zeros((), device=self.accelerator.device)
        parts = [part for batch in loaded for part in self._parts(batch)]
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                part_loss = self._loss(part)
                # Divided by the published number of batches, even if the last update of an epoch has fewer.
                self.accelerator.backward(part_loss / self.settings.accumulation)
            loss += part_loss.detach()
        return loss

    def _parts(self, batch: Loaded) -> Iterator[Loaded]:
        count = math.ceil(len(batch.weights) / self.splits)
        for start in range(0, len(batch.weights), count):
            yield batch.pick(slice(start, start + count))

    def _loss(self, part: Loaded) -> Tensor:
        """Return the weighted sum of the images' mean squared errors of the noise."""
        device, parts, draws = self.accelerator.device, self.parts, part.draws
        noise, times = send(draws.noise, device), send(draws.times, device)
        mean, deviation = self._moments(send(part.inputs, device))
        latents = (mean + deviation * send(draws.posterior, device)) * parts.vae.config.scaling_factor
        noisy = parts.noise_levels.add_noise(latents, noise, times)
        predicted = self.model(noisy, times, parts.text_states(send(part.ids, device))).sample
        errors = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
        return (errors * send(part.weights, device)).sum()

    def _moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the posterior in float32, not scaled."""
        if inputs.dtype == torch.uint8:
            mean, deviation = self.parts.moments(to_unit(inputs, self.parts.dtype))
        else:
            mean, deviation = inputs.unbind(1)
        return mean.float(), deviation.float()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the UNet has its averaged weights."""
        if self.average is None:
            yield
            return
        self.average.store(self.unet.parameters())
        self.average.copy_to(self.unet.parameters())
        try:
            yield
        finally:
            self.average.restore(self.unet.parameters())


def _cut(images: slice, size: int) -> Iterator[slice]:
    """Yield consecutive images in parts of ``size``, the last one with the rest."""
    for start in range(images.start, images.stop, size):
        yield slice(start, min(start + size, images.stop))


def _rate(step: int, settings: FinetuneSettings) -> float:
    """Return the learning rate at ``step``, from 1: linear warm-up from zero, then constant."""
    warming = step - 1 < settings.lr_warmup_steps
    return settings.lr * ((step - 1) / settings.lr_warmup_steps if warming else 1.0)


def too_little_memory() -> UvlpError:
    """Return the error for a GPU whose memory is sufficient for the models, but not for training."""
    return machine.too_little_gpu_memory("to fine-tune", LESS_MEMORY)
