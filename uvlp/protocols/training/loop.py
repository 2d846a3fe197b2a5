"""The training loop that the protocols share: steps, epochs, validation, and the score of one run.

Steps and losses follow evaluation.md 1.7 and 1.8, accuracies and the summary of the validation passes
1.9 and 3.5; the protocols differ in when they validate, not in what they report.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor, nn

from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive
from uvlp.protocols.training import augment, mixing
from uvlp.protocols.training.images import Prepared
from uvlp.protocols.training.optimisers import Optimiser


def run_epochs(
    train: Callable[[int], Tensor],
    epochs: int,
    validated: Collection[int],
    network: nn.Module,
    validation: Prepared,
    *,
    name: str,
    section: str,
    device: str,
    progress: Progress,
    at_best: Callable[[], None] | None = None,
) -> Record:
    """Call ``train`` with every 1-based epoch, and validate ``network`` after those in ``validated``.

    Args:
        train: trains for one epoch and returns the loss of every step, [steps], on the device.
        epochs: number of epochs.
        validated: 1-based epochs, including the last.
        network: the network that ``train`` trains, on ``device``.
        validation: the validation images.
        name: of the network, for errors.
        section: of the settings with the learning rate, for errors.
        device: "cpu" or "cuda".
        progress: reports every epoch.
        at_best: called after each validation pass that is better than all earlier ones.

    Raises:
        UvlpError: the loss is not finite, detected at the next validation pass.
    """
    pixels = validation.pixels.to(device)
    labels = torch.from_numpy(validation.labels).to(device)
    record, losses = Record(), []
    for epoch in progress.track(range(1, epochs + 1)):
        losses.append(train(epoch))
        progress.point(epoch, epochs, loss=losses[-1].mean())
        if epoch in validated:
            # Not in every epoch: copying a value from the GPU waits for it.
            check_finite(losses, name, epoch, f"lower the learning rate ({section}.lr)")
            losses.clear()
            better = record.add(epoch, predict(network, pixels), labels)
            progress.point(epoch, 0, accuracy_pct=record.last_pct)
            if better and at_best is not None:
                at_best()
    return record


@contextlib.contextmanager
def seeded_dropout(seed: int, device: str) -> Iterator[None]:
    """Context in which dropout draws from ``seed``; torch's global generators are restored afterwards."""
    gpus = [] if device == "cpu" else [torch.cuda.current_device()]
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(derive(seed, "dropout"))
        if gpus:
            torch.cuda.manual_seed(derive(seed, "dropout"))
        yield


def check_single_image(build: Callable[[], nn.Module], size_px: int, *, got: str, fix: str) -> None:
    """Refuse a network that cannot train on a batch of one image.

    torch refuses batch normalisation of one value per channel: one image whose map is 1x1.

    Args:
        build: returns the network; called on the meta device.
        size_px: side of its images.
        got, fix: fields of the error.

    Raises:
        UvlpError: a normalisation layer has a 1x1 map.
    """
    with torch.device("meta"):
        network = build().train()
        try:
            network(torch.empty(1, 3, size_px, size_px))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            what = "a batch of one image is too small for the network's last maps"
            raise UvlpError(what, got=got, fix=fix) from error


def correct_in_top(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Return bool [N]: whether the label is among the ``k`` largest of logits [N,C]."""
    if k == 1:
        return logits.argmax(1) == labels
    largest = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (largest == labels[:, None]).any(1)


def percent(correct: Tensor) -> float:
    """Return the percentage of true values."""
    return 100 * int(correct.sum()) / len(correct)


def train_step(
    network: nn.Module,
    optimiser: Optimiser,
    images: Tensor,
    labels: Tensor,
    mix: mixing.Mix | None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Take one optimiser step on a batch; ``images`` [n,3,S,S] are mixed in place.

    ``labels`` and ``temperature`` are as for `mixing.cutmix_loss`.

    Returns:
        Loss (scalar) and logits [n,C], both detached, on the device.
    """
    if mix is not None:
        mixing.mix_(images, mix)
    logits = network(images)
    loss = mixing.cutmix_loss(logits, labels, mix, temperature)
    optimiser.clear()
    loss.backward()
    optimiser.step()
    return loss.detach(), logits.detach()


def check_finite(losses: Sequence[Tensor], name: str, last_epoch: int, fix: str) -> None:
    """Check the losses of the epochs up to ``last_epoch``, one tensor [steps] each.

    Raises:
        UvlpError: a loss is not finite; the error gives network ``name``, epoch and step.
    """
    finite = torch.stack(list(losses)).isfinite()
    if bool(finite.all()):
        return
    row, step = torch.nonzero(~finite)[0].tolist()
    epoch = last_epoch - len(losses) + row + 1
    raise UvlpError(f"the loss is not finite: network {name}, epoch {epoch}, step {step + 1}", fix=fix)


TOP = 5
PART_PIXELS = {"cpu": 1 << 15, "cuda": 1 << 22}
"""Pixels per batch of a validation pass. On a CPU, batches whose maps fit into the cache take half the time:
32 images of 32 px, one of 224; on a GPU 83 of 224 px."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """One validation pass: accuracy in percent, correct predictions bool [N]; top 5 from five classes on."""

    epoch: int
    pct: float
    correct: Tensor
    top5_pct: float | None


class Record:
    """The validation passes of one training; predictions are kept only for the best and the last."""

    def __init__(self) -> None:
        self._curve: list[tuple[int, float]] = []
        self._best: _Pass | None = None
        self._last: _Pass | None = None

    def add(self, epoch: int, logits: Tensor, labels: Tensor) -> bool:
        """Record the pass after the 1-based ``epoch``, and return whether it is the best so far.

        Args:
            epoch: 1-based epoch.
            logits: [N,C].
            labels: int64 [N] on the same device.
        """
        correct = correct_in_top(logits, labels)
        top5_pct = percent(correct_in_top(logits, labels, TOP)) if logits.shape[1] >= TOP else None
        self._last = _Pass(epoch, percent(correct), correct, top5_pct)
        self._curve.append((epoch, self._last.pct))
        better = self._best is None or self._last.pct > self._best.pct
        if better:
            self._best = self._last
        return better

    @property
    def last_pct(self) -> float:
        """Accuracy of the last pass, percent."""
        return self._curve[-1][1]

    def score(self, validation: Prepared, *, train_images: int, parameters: int) -> Score:
        """Return the `Score`; of equally good passes the first counts as the best."""
        best, last = self._best, self._last
        assert best is not None and last is not None, "at least one validation pass"
        assert len(last.correct) == len(validation.labels), "every validation image was predicted"
        return Score(
            best_pct=best.pct,
            best_epoch=best.epoch,
            last_pct=last.pct,
            top5_best_pct=best.top5_pct,
            top5_last_pct=last.top5_pct,
            curve=tuple(self._curve),
            correct_best=_bits(best.correct),
            correct_last=_bits(last.correct),
            validation_set=validation.name,
            validation_images=len(validation.labels),
            train_images=train_images,
            parameters=parameters,
        )


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor) -> Tensor:
    """Normalise uint8 ``images`` [N,3,S,S] and return logits [N,C], on their device.

    ``network`` is switched to evaluation mode, and back to training mode.
    """
    count = PART_PIXELS[images.device.type] // (images.shape[2] * images.shape[3])
    parts = images.split(max(1, count))
    network.eval()
    logits = torch.cat([network(augment.normalise(part)) for part in parts])
    network.train()
    return logits


def _bits(correct: Tensor) -> str:
    return numpy.packbits(correct.cpu().numpy()).tobytes().hex()
