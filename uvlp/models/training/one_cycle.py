"""The training loop that the three small models share: AdamW under a one-cycle learning rate.

On a CPU it computes in float32, deterministically. On a GPU the settings may select mixed precision; random
numbers are drawn on the CPU in the same order, there is no synchronisation between two checks of the loss,
and only deterministic kernels are used.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.device import arithmetic, dtype_name, torch_dtype
from uvlp.models.quiet import quiet
from uvlp.models.training.loss_check import LossCheck
from uvlp.models.training.training_state import Average, TrainingState

WARM_UP = 0.25
START = 0.04
LARGEST_GRADIENT = 1.0
SAVE_EVERY_S = 60.0
REPORT_FROM_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How AdamW updates.

    Attributes:
        share: share of the peak learning rate at a step of 1..steps.
        weight_decay: of AdamW.
        largest_gradient: norm to which gradients are clipped.
    """

    share: Callable[[int, int], float]
    weight_decay: float
    largest_gradient: float


class Schedule(Protocol):
    """The settings that the loop reads."""

    @property
    def steps(self) -> int:
        """Total number of steps."""

    @property
    def batch(self) -> int:
        """Images per step."""

    @property
    def lr(self) -> float:
        """Peak learning rate."""

    @property
    def precision(self) -> str:
        """See `models/device.py`."""


def one_cycle(
    what: str,
    model: torch.nn.Module,
    loss_of_step: Callable[[], torch.Tensor],
    settings: Schedule,
    *,
    generator: torch.Generator,
    progress: Progress,
    average: Average | None = None,
    partial: Path | None = None,
    rule: Rule | None = None,
) -> None:
    """Minimise ``loss_of_step()``, which draws its own batch, on the model's device.

    Args:
        what: the settings group of the model, e.g. ``"diffuser"``, for progress and errors.
        generator: the only source of randomness of ``loss_of_step``; on the CPU.
        average: updated after every step.
        partial: a folder for checkpoints, one per minute; the training resumes from a checkpoint there, on a
            CPU with bit-identical results.
        rule: how AdamW updates; None: `ONE_CYCLE`.

    Raises:
        UvlpError: the loss is not finite (the error names model and step), the device does not support the
            precision, or too little GPU memory.
    """
    rule = rule or ONE_CYCLE
    parameters = list(model.parameters())
    device = parameters[0].device.type
    dtype = torch_dtype(settings.precision, device, training=True)
    if settings.precision == "auto" and device == "cpu":
        size = f"{settings.steps} steps of {settings.batch} images"
        progress.log(f"no GPU: its {size} are meant for a GPU; a CPU takes hours or days")
    state = TrainingState(
        model=model,
        optimiser=torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=rule.weight_decay, fused=True),
        scaler=torch.amp.GradScaler(device, enabled=dtype == torch.float16),
        generator=generator,
        average=average,
    )
    saved = partial / f"{what}.safetensors" if partial is not None else None
    first = _resume(state, saved, what, settings.steps, progress) + 1
    fix = f"lower its learning rate: --set {what}.lr={settings.lr / 4:g}"
    check = LossCheck(f"the {what}", settings.steps, first, device, fix)
    started = saved_at = time.monotonic()
    with arithmetic(device, "tf32", deterministic=True), _enough_memory(what, settings.batch):
        for step in progress.track(range(first, settings.steps + 1), "steps"):
            with _mixed(device, dtype):
                loss = loss_of_step()
            check.add(loss, step)
            lr = settings.lr * rule.share(step, settings.steps)
            _descend(state, loss, lr, rule.largest_gradient)
            progress.point(step, settings.steps, loss=loss.detach(), lr=lr)
            if average is not None:
                average.update(step)
            if saved is not None and step < settings.steps and time.monotonic() - saved_at >= SAVE_EVERY_S:
                check.check(step)
                state.save(saved, step)
                saved_at = time.monotonic()
    _report(progress, settings, settings.steps + 1 - first, time.monotonic() - started, dtype, device)


def _descend(state: TrainingState, loss: torch.Tensor, lr: float, largest_gradient: float) -> None:
    """Take one step of the optimiser."""
    for group in state.optimiser.param_groups:
        group["lr"] = lr
    state.optimiser.zero_grad()
    state.scaler.scale(loss).backward()
    state.scaler.unscale_(state.optimiser)
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), largest_gradient)
    state.scaler.step(state.optimiser)
    state.scaler.update()


def to_device(model: torch.nn.Module, device: str) -> torch.nn.Module:
    """Move the model to ``device``; on a GPU in the channels-last format of the tensor cores."""
    layout = torch.contiguous_format if device == "cpu" else torch.channels_last
    with quiet():
        return model.to(device).to(memory_format=layout)


def one_cycle_share(step: int, steps: int) -> float:
    """Return the share of the peak rate at ``step`` of 1..``steps``: cosine warm-up, then decay to zero."""
    position = (step - 0.5) / steps
    if position < WARM_UP:
        return START + (1 - START) * (1 - math.cos(math.pi * position / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP))) / 2


ONE_CYCLE = Rule(share=one_cycle_share, weight_decay=0.01, largest_gradient=LARGEST_GRADIENT)
CONSTANT = Rule(share=lambda step, steps: 1.0, weight_decay=0.0, largest_gradient=math.inf)
"""A constant learning rate, without weight decay and clipping."""


def _resume(state: TrainingState, saved: Path | None, what: str, steps: int, progress: Progress) -> int:
    """Load the checkpoint, if any, and return its step; 0 without one."""
    if saved is None or not saved.is_file():
        return 0
    try:
        step = state.load(saved)
    except (SafetensorError, OSError):
        progress.log(f"{saved.name} is damaged: the training of the {what} restarts")
        saved.unlink()
        return 0
    except (KeyError, ValueError, RuntimeError) as error:  # complete, but of another version of the model
        raise UvlpError(
            f"a checkpoint of another {what}", got=str(saved), fix="delete it; the training restarts"
        ) from error
    progress.log(f"resuming after step {step} of {steps}")
    return step


def _mixed(device: str, dtype: torch.dtype) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype)


@contextlib.contextmanager
def _enough_memory(what: str, batch: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        fix = f"stop other programs on the GPU, or --set {what}.batch={max(1, batch // 2)}"
        raise machine.too_little_gpu_memory(f"to train the {what} on batches of {batch}", fix) from error


def _report(
    progress: Progress, settings: Schedule, steps: int, seconds: float, dtype: torch.dtype, device: str
) -> None:
    """Report the speed of a training that took a while."""
    if seconds >= REPORT_FROM_S:
        speed = steps * settings.batch / seconds
        progress.log(f"{speed:.3g} images/s, {seconds / steps:.3f} s/step in {dtype_name(dtype)} on {device}")
