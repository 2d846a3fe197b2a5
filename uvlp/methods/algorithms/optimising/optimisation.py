"""Optimisation of images in iterations, resumed after an interruption with the same result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor

from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.models.device import arithmetic
from uvlp.models.training import sealed_tensors
from uvlp.models.training.loss_check import LossCheck

FILE = "optimisation.safetensors"
SAVE_EVERY_S = 60.0
MOST_EVENTS = 1000


class Optimisation(Protocol):
    """What a method of this kind returns; its state is on one device.

    Attributes:
        iterations: number of iterations.
        meter: counts the images that pass through networks, and the time in them.
        fix: how to fix a loss that is not finite, for the error.
    """

    iterations: int
    meter: Meter
    fix: str

    def step(self, iteration: int) -> Tensor:
        """Do one iteration, counted from 1, and return its loss, a scalar.

        Random numbers derive from the seed and ``iteration`` alone, so that a resumed run draws the same.
        """

    def state(self) -> dict[str, Tensor]:
        """Return everything that iterations change: images or latents, and the optimiser's state."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state, on the CPU, that `state` returned."""

    def images(self) -> Tensor:
        """Return the images [C * ipc, 3, S, S], [0, 1] and slightly beyond, class after class."""


class Meter:
    """Images that passed through networks, and the time in them.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.images, self._device, self._seconds = 0, device, 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def network(self, images: int) -> Iterator[None]:
        """Context of the passes, forward and backward, of this number of images."""
        self.images += images
        if self._device == "cpu":
            began = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - began
            return
        events = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        events[0].record()
        yield
        events[1].record()
        self._events.append(events)
        if len(self._events) >= MOST_EVENTS:
            self._add_events()

    @property
    def seconds(self) -> float:
        """Time in networks; waits for a GPU."""
        self._add_events()
        return self._seconds

    def _add_events(self) -> None:
        for first, last in self._events:
            last.synchronize()
            self._seconds += first.elapsed_time(last) / 1000
        self._events.clear()


def run(what: str, optimisation: Optimisation, device: str, progress: Progress, partial: Path) -> None:
    """Do all iterations, and report their speed.

    Args:
        what: the method, for errors.
        optimisation: at its start.
        device: "cpu" or "cuda".
        progress: reports every iteration.
        partial: folder of the state after an interruption, written once a minute.

    Raises:
        UvlpError: the loss is not finite (names the iteration), or too little GPU memory.
    """
    saved = partial / FILE
    first = 1 + _resume(optimisation, saved, progress)
    check = LossCheck(what, optimisation.iterations, first, device, optimisation.fix)
    began = saved_at = time.monotonic()
    with arithmetic(device, "tf32", deterministic=True), enough_memory(what):
        for iteration in progress.track(range(first, optimisation.iterations + 1), "iterations"):
            loss = optimisation.step(iteration)
            check.add(loss, iteration)
            progress.point(iteration, optimisation.iterations, loss=loss.detach())
            if iteration < optimisation.iterations and time.monotonic() - saved_at >= SAVE_EVERY_S:
                check.check(iteration)
                sealed_tensors.save(saved, optimisation.state(), {"iteration": str(iteration)})
                saved_at = time.monotonic()
    report(progress, optimisation.meter, time.monotonic() - began)


def _resume(optimisation: Optimisation, saved: Path, progress: Progress) -> int:
    """Load the state, if any, and return its iteration; 0 without one."""
    if not saved.is_file():
        return 0
    try:
        state, facts = sealed_tensors.load(saved)
    except (SafetensorError, OSError):
        progress.log(f"{saved.name} is damaged: the optimisation restarts")
        saved.unlink()
        return 0
    optimisation.restore(state)
    progress.log(f"resuming after iteration {facts['iteration']} of {optimisation.iterations}")
    return int(facts["iteration"])


@contextlib.contextmanager
def enough_memory(what: str, fix: str = "stop other programs on the GPU") -> Iterator[None]:
    """Context in which too little GPU memory is an error in one line.

    Args:
        what: the method, for errors.
        fix: how to need less, besides a larger GPU.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        fix = f"{fix}, or use a GPU with more memory"
        raise machine.too_little_gpu_memory(f"for {what}", fix) from error


def report(progress: Progress, meter: Meter, seconds: float) -> None:
    """Report images per second, and the share of ``seconds`` in networks."""
    if meter.images and seconds > 0:
        share = meter.seconds / seconds
        progress.log(f"{meter.images / seconds:,.0f} images/s through networks, {share:.0%} of the time")
