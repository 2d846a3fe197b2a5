"""What the validation passes of one training gave: curve, best and last pass, as a `Score`.

Shared by the protocols, which differ in when they validate (evaluation.md 1.9 and 3.5), not in what
they report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from torch import Tensor, nn

from uvlp.artifacts.scores import Score
from uvlp.blocks import augment
from uvlp.blocks.accuracy import correct_in_top, percent
from uvlp.blocks.image_sets import Prepared

TOP = 5
PART_PIXELS = {"cpu": 1 << 15, "cuda": 1 << 22}
"""Per part of a validation pass. On a CPU parts whose maps stay in the cache take half the time: 32 images of
32 px, one of 224; on a GPU 83 of 224 px."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """One validation pass: accuracy in percent, bool [N] of right predictions; top 5 from five classes."""

    epoch: int
    pct: float
    correct: Tensor
    top5_pct: float | None


class Record:
    """Collects the validation passes of one training; only the best and the last keep their bits."""

    def __init__(self) -> None:
        self._curve: list[tuple[int, float]] = []
        self._best: _Pass | None = None
        self._last: _Pass | None = None

    def add(self, epoch: int, logits: Tensor, labels: Tensor) -> bool:
        """Note the pass after the 1-based ``epoch``; whether it is the best so far.

        Args:
            epoch: after which it was.
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

    def score(self, validation: Prepared, *, train_images: int, parameters: int) -> Score:
        """The record as a `Score`; of equally good passes the first is the best."""
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
    """Logits [N,C] of uint8 ``images`` [N,3,S,S], normalised, on their device.

    ``network`` is put into evaluation mode, and back into training mode.
    """
    together = PART_PIXELS[images.device.type] // (images.shape[2] * images.shape[3])
    parts = images.split(max(1, together))
    network.eval()
    logits = torch.cat([network(augment.normalise(part)) for part in parts])
    network.train()
    return logits


def _bits(correct: Tensor) -> str:
    return numpy.packbits(correct.cpu().numpy()).tobytes().hex()
