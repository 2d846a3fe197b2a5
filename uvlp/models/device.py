"""Devices: their dtypes and kernels, and transfers to them.

Rounding follows the reference unless an option changes it (evaluation.md 1.8).
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
    """Context in which kernels are chosen by ``precision``; the previous state is restored afterwards.

    Args:
        device: "cpu" or "cuda".
        precision: "tf32": float32, where convolutions may use TF32 on a GPU but matrix products may not, the
            default of PyTorch and the reference; "float32": no TF32; "bfloat16": see `prepare_network`.
            On a CPU the first two are the same.
        deterministic: only deterministic operations, also on a GPU; otherwise the fastest kernels are
            selected by benchmarking, as in the reference.
    """
    check_precision(precision)
    if device == "cpu":
        # A CPU is always deterministic, and setting the mode would import torch's compiler.
        yield
        return
    # torch reads this only at the first matrix product of the process.
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
    """Context in which a GPU multiplies float32 matrices in float32 ("highest") or TF32 ("high")."""
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
    # Every tensor is written before it is read; filling it first would only cost bandwidth.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filling


def prepare_network(network: nn.Module, device: str, precision: str, channels_last: bool) -> nn.Module:
    """Move the network to ``device`` and set its memory format and mixed precision.

    With "bfloat16" every forward pass is its own autocast context, because the cached low-precision copies of
    the weights live as long as the context; logits are converted to float32.
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
    """Return ``array`` as a tensor on ``device``, of ``dtype`` if given, without waiting for a GPU.

    Only copies from pinned memory are asynchronous. torch keeps that memory until the copy is done, so the
    caller need not keep the array.
    """
    tensor = torch.as_tensor(array, dtype=dtype)
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def torch_dtype(precision: str, device: str, *, training: bool = False) -> torch.dtype:
    """Return the dtype of ``precision`` on ``device`` (see `recipes.precision.resolve_dtype`).

    Raises:
        UvlpError: the device does not support it.
    """
    dtype: torch.dtype = getattr(torch, resolve_dtype(precision, device, training=training))
    return dtype


def device_and_dtype(precision: str, *, training: bool = False) -> tuple[str, str]:
    """Return the type of the device in use, e.g. ``NVIDIA H200``, and the dtype of ``precision`` on it.

    Results of different types, or in different dtypes, differ in the last bits.
    """
    device = machine.device()
    name = machine.gpu_name() if device == "cuda" else None
    return name or device, dtype_name(torch_dtype(precision, device, training=training))


def dtype_name(dtype: torch.dtype) -> str:
    """Return e.g. "float16" for ``torch.float16``."""
    return str(dtype).removeprefix("torch.")
