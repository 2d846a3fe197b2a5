"""How a GPU or CPU may round: the reference's precision, and the options beside it (evaluation.md 1.8)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.deterministic
from torch import nn

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.ranges import ARITHMETIC


def check_precision(precision: str) -> None:
    """Raise UvlpError for a precision that does not exist."""
    if precision not in ARITHMETIC:
        raise UvlpError("unknown precision", got=precision, allowed=", ".join(ARITHMETIC))


@contextlib.contextmanager
def arithmetic(device: str, precision: str, deterministic: bool) -> Iterator[None]:
    """Within it, kernels are chosen by ``precision``; what was set before is restored.

    Args:
        device: "cpu" or "cuda".
        precision: "tf32": float32 with convolutions that may use TF32 on a GPU while matrix products do
            not, PyTorch's default and the reference's; "float32": no TF32; "bfloat16": see `lay_out`.
            On a CPU the first two are the same.
        deterministic: only operations that give the same bits every time, on a GPU too; elsewhere the
            fastest kernel is searched for by trying, as the reference does.
    """
    check_precision(precision)
    if device == "cpu":
        # A CPU is deterministic as it is, and asking for it would import torch's compiler.
        yield
        return
    # torch reads this at its first matrix product in the process and never again.
    os.environ.setdefault(*machine.CUBLAS_WORKSPACE)
    kernels = torch.backends.cudnn.flags(
        enabled=True,
        benchmark=not deterministic,
        deterministic=deterministic,
        allow_tf32=precision != "float32",
    )
    strict = _only_deterministic() if deterministic else contextlib.nullcontext()
    with kernels, matrix_products("highest"), strict:
        yield


@contextlib.contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """How float32 matrices are multiplied on a GPU within it: exactly ("highest"), or in TF32 ("high")."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def _only_deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Every tensor is written before it is read: filling each of them once more costs bandwidth alone.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filling


def lay_out(network: nn.Module, device: str, precision: str, channels_last: bool) -> nn.Module:
    """The network on ``device``, computing and storing its feature maps as wanted.

    With "bfloat16" every forward pass is an automatic mixed precision of its own, because the lower-precision
    copies of the weights live as long as the region that made them; logits are float32 again.
    """
    network = network.to(device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    if precision == "bfloat16":
        mixed = torch.autocast(device, dtype=torch.bfloat16)(network.forward)
        network.forward = lambda images: mixed(images).float()
    return network
