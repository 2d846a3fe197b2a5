"""The device that computes: dtypes it can use, how it may round, and arrays on their way to it.

``precision`` is chosen by what the device can do; rounding follows the reference unless an option says
otherwise (evaluation.md 1.8).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy
import torch
import torch.utils.deterministic
from torch import Tensor, nn

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.recipes.precision import resolve_dtype
from uvlp.recipes.setting import ARITHMETIC


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


def torch_dtype(precision: str, device: str, *, training: bool = False) -> torch.dtype:
    """The dtype for ``precision`` on ``device``, as `recipes.precision.resolve_dtype` names it.

    Raises:
        UvlpError: the device has no such dtype.
    """
    dtype: torch.dtype = getattr(torch, resolve_dtype(precision, device, training=training))
    return dtype


def dtype_name(dtype: torch.dtype) -> str:
    """``float16`` for ``torch.float16``."""
    return str(dtype).removeprefix("torch.")
