"""The two criteria of Minimax-Diffusion and their memory (evaluation.md 5.1; Gu et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

MEMORY = 64


class Memory(nn.Module):
    """The latest latents of each class (first in, first out), as buffers, which a checkpoint contains.

    Args:
        classes: number of classes.
        values: values of a latent.
        size: latents per class.
    """

    latents: Tensor
    counts: Tensor

    def __init__(self, classes: int, values: int, size: int = MEMORY) -> None:
        super().__init__()
        self.register_buffer("latents", torch.zeros(classes, size, values))
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))

    def of(self, index: int) -> Tensor | None:
        """Latents of a class as rows [M,D], oldest first; None while there are none."""
        count = int(self.counts[index])
        return self.latents[index, :count].clone() if count else None

    def append(self, index: int, latents: Tensor) -> None:
        """Add rows [n,D] of a class, without their gradient."""
        size, count = self.latents.shape[1], int(self.counts[index])
        kept = torch.cat((self.latents[index, :count], latents.detach()))[-size:]
        self.latents[index, : len(kept)] = kept
        self.counts[index] = len(kept)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Two scalars to minimise, each a mean over the classes of the batch.

    Attributes:
        representativeness: 1 − smallest cosine between a predicted and a remembered real latent.
        diversity: largest cosine between a predicted and a remembered predicted latent.
    """

    representativeness: Tensor
    diversity: Tensor


def criteria(latents: Tensor, predicted: Tensor, labels: Tensor, real: Memory, generated: Memory) -> Criteria:
    """The criteria of one batch, which is then remembered; a class without memories counts as 0.

    Args:
        latents: [N,...], latents of the real images.
        predicted: [N,...], the clean latents that the network predicts for them.
        labels: int64 [N], indices of classes.
        real: memory of ``latents``, is appended to.
        generated: memory of ``predicted``, is appended to.
    """
    representativeness, diversity = predicted.new_zeros(()), predicted.new_zeros(())
    present = labels.unique().tolist()
    for label in present:
        rows = labels == label
        originals, copies = latents[rows].flatten(1), predicted[rows].flatten(1)
        earlier_originals, earlier_copies = real.of(label), generated.of(label)
        if earlier_originals is not None and earlier_copies is not None:
            representativeness = representativeness + 1 - _cosines(copies, earlier_originals).min()
            diversity = diversity + _cosines(copies, earlier_copies).max()
        real.append(label, originals)
        generated.append(label, copies)
    return Criteria(representativeness / len(present), diversity / len(present))


def _cosines(rows: Tensor, others: Tensor) -> Tensor:
    return normalize(rows, dim=1) @ normalize(others, dim=1).T
