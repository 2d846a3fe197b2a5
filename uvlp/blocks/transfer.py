"""Arrays on their way to the device that computes with them."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor


def send(
    array: numpy.ndarray | Tensor, device: str | torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """``array`` as a tensor on ``device``, of ``dtype`` if given; a GPU's queue is not waited for.

    Only copies from pinned memory go on without the caller. torch keeps that memory until the copy is
    done, so nobody has to hold the array.
    """
    tensor = torch.as_tensor(array, dtype=dtype)
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
