"""The training loop of the Stable Diffusion UNet, on one process or several (methods.md B.2).

All processes together compute the published batches: each takes its share of every batch, so the number of
GPUs changes nothing but the rounding.
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
from uvlp.models.finetuning.data import Batch, Draws, Update, draw, share, to_unit, updates, updates_per_epoch
from uvlp.models.finetuning.parts import Parts
from uvlp.recipes.schema import FinetuneSettings

Inputs = Callable[[NDArray[np.int64], Draws], Tensor]
"""Rows and their draws -> float16 [n, 2, 4, h, w] stored moments, or uint8 [n, 3, S, S] pixels."""
LESS_MEMORY = (
    "use --set finetune.gradient_checkpointing=true, or smaller batches with the same product, e.g. "
    "--set finetune.batch=16 --set finetune.accumulation=8; everything finished is kept"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """This process's part of a batch, still in the host's memory.

    Attributes:
        inputs: see `Inputs`.
        weights: float32 [n], each image's share of the mean over the whole batch, times the processes.
    """

    inputs: Tensor
    ids: Tensor
    draws: Draws
    weights: Tensor

    def pick(self, which: slice) -> Loaded:
        """Some of the images."""
        draws = self.draws.pick(which)
        return Loaded(
            inputs=self.inputs[which], ids=self.ids[which], draws=draws, weights=self.weights[which]
        )


class Training:
    """The UNet with everything that changes with its steps.

    Args:
        parts: models; the UNet is trained in place.
        accelerator: accelerate's; decides on devices, processes and mixed precision.
        settings: of the stage.
        seed: all randomness follows from it.
        inputs: gives pixels or stored latents.
        ids: int32 [N, L], token ids of every caption.
        progress: told by the main process.
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
            self.unet.to(memory_format=torch.channels_last)  # what half-precision convolutions are fastest in
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
        """Parts in which each batch is computed, because the GPU's memory is too small for the whole."""

    def run(self, folder: Path, at_epoch: Callable[[int], None]) -> None:
        """Train to the end, from the latest whole checkpoint in ``folder``.

        Args:
            at_epoch: called after each epoch with its number, from 1.

        Raises:
            UvlpError: the loss is not a number, or the GPU's memory is too small.
        """
        settings, images = self.settings, len(self._ids)
        done = self._resume(folder)
        total = settings.epochs * updates_per_epoch(images, settings)
        began, seen = time.monotonic(), 0
        for update, loaded in self._ahead(updates(images, settings, self.seed, done)):
            loss = self._update(update, loaded, total)
            seen += sum(len(batch.rows) for batch in update.batches)
            lr = self.optimiser.param_groups[0]["lr"]
            self.log.append(json.dumps({"step": update.step, "loss": loss, "lr": lr}) + "\n")
            speed = seen / (time.monotonic() - began)
            self.accelerator.log({"loss": loss, "lr": lr, "images_per_s": speed}, step=update.step)
            if update.ends_epoch:
                at_epoch(update.epoch + 1)
            if update.step % settings.checkpointing_steps == 0:
                self._checkpoint(update.step, folder)  # last: what came before is not made again
            self._progress.at(update.step, total, "updates")

    def _resume(self, folder: Path) -> int:
        """Take up the latest checkpoint; the number of updates that are done."""
        main = self.accelerator.is_main_process
        if main:
            checkpoints.latest(folder, self._progress.log)  # deletes what is damaged before others look
        self.accelerator.wait_for_everyone()
        checkpoint, step = checkpoints.latest(folder, lambda _: None)
        if checkpoint is not None:
            self._progress.log(f"going on from {checkpoint.name}")
            self.log = checkpoints.load(self.accelerator, self.average, checkpoint, step)
        return step

    def _checkpoint(self, step: int, folder: Path) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            limit = self.settings.checkpoints_total_limit
            checkpoints.save(self.accelerator, self.average, self.log, step, folder, limit)
        self.accelerator.wait_for_everyone()

    def _ahead(self, todo: Iterator[Update]) -> Iterator[tuple[Update, list[Loaded]]]:
        """Every update with its inputs, which are read and decoded while the one before is computed."""
        with ThreadPoolExecutor(1) as reader:
            coming = None
            for update in todo:
                following = (update, reader.submit(lambda u: [self._load(b) for b in u.batches], update))
                if coming is not None:
                    yield coming[0], coming[1].result()
                coming = following
            if coming is not None:
                yield coming[0], coming[1].result()

    def _load(self, batch: Batch) -> Loaded:
        processes = self.accelerator.num_processes
        draws = draw(batch, self.seed, self.parts.latent, self._timesteps, self.settings)
        mine = share(len(batch.rows), self.accelerator.process_index, processes)
        weight = processes / len(batch.rows)
        if (
            mine.start == mine.stop
        ):  # all processes have to join in, so this one computes an image for nothing
            mine, weight = slice(0, 1), 0.0
        rows, draws = batch.rows[mine], draws.pick(mine)
        return Loaded(
            inputs=self._inputs(rows, draws),
            ids=torch.from_numpy(self._ids[rows]).long(),
            draws=draws,
            weights=torch.full((len(rows),), weight),
        )

    @property
    def _timesteps(self) -> int:
        return int(self.parts.noise_levels.config.num_train_timesteps)

    def _update(self, update: Update, loaded: Sequence[Loaded], total: int) -> float:
        """One step of the optimiser; the mean loss of its batches."""
        settings = self.settings
        loss = self.accelerator.reduce(self._gradients(loaded), "mean").item() / len(loaded)
        if not math.isfinite(loss):
            raise UvlpError(
                f"the loss of the fine-tuning is not a number: update {update.step} of {total}",
                fix=f"lower the learning rate: --set finetune.lr={settings.lr / 4:g}, or compute in another "
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
        """Leave the gradients of an update in the parameters; the sum of its batches' losses.

        Raises:
            UvlpError: out of memory, and batches cannot be split further.
        """
        while True:
            try:
                return self._accumulate(loaded)
            except torch.OutOfMemoryError as error:
                # With several processes the others already wait for this one's gradients.
                if self.accelerator.num_processes > 1 or self.splits >= self.settings.batch:
                    raise too_little_memory() from error
            # Here the exception is gone, and with it the tensors that its traceback held.
            self.optimiser.zero_grad()
            torch.cuda.empty_cache()
            self.splits *= 2
            self._progress.log(
                f"out of GPU memory: computing each batch of {self.settings.batch} in {self.splits} parts; "
                "the result differs in rounding only"
            )

    def _accumulate(self, loaded: Sequence[Loaded]) -> Tensor:
        loss = torch.zeros((), device=self.accelerator.device)
        parts = [part for batch in loaded for part in self._parts(batch)]
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                found = self._loss(part)
                # Divided by the published number of batches, also where an epoch's end leaves fewer.
                self.accelerator.backward(found / self.settings.accumulation)
            loss += found.detach()
        return loss

    def _parts(self, batch: Loaded) -> Iterator[Loaded]:
        count = math.ceil(len(batch.weights) / self.splits)
        for start in range(0, len(batch.weights), count):
            yield batch.pick(slice(start, start + count))

    def _loss(self, part: Loaded) -> Tensor:
        """Weighted sum of the images' mean squared errors on the noise."""
        device, parts, draws = self.accelerator.device, self.parts, part.draws
        noise, times = send(draws.noise, device), send(draws.times, device)
        mean, deviation = self._moments(send(part.inputs, device))
        latents = (mean + deviation * send(draws.posterior, device)) * parts.vae.config.scaling_factor
        noisy = parts.noise_levels.add_noise(latents, noise, times)
        predicted = self.model(noisy, times, parts.text_states(send(part.ids, device))).sample
        errors = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
        return (errors * send(part.weights, device)).sum()

    def _moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 mean and deviation of the posterior, not scaled."""
        if inputs.dtype == torch.uint8:
            mean, deviation = self.parts.moments(to_unit(inputs, self.parts.dtype))
        else:
            mean, deviation = inputs.unbind(1)
        return mean.float(), deviation.float()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The UNet with its averaged weights inside the block."""
        if self.average is None:
            yield
            return
        self.average.store(self.unet.parameters())
        self.average.copy_to(self.unet.parameters())
        try:
            yield
        finally:
            self.average.restore(self.unet.parameters())


def _rate(step: int, settings: FinetuneSettings) -> float:
    """Learning rate at ``step`` from 1: up in a line from zero while warming up, then constant."""
    warming = step - 1 < settings.lr_warmup_steps
    return settings.lr * ((step - 1) / settings.lr_warmup_steps if warming else 1.0)


def too_little_memory() -> UvlpError:
    """The error for a GPU that holds the models, but not the training."""
    return machine.too_little_gpu_memory("to fine-tune", LESS_MEMORY)
