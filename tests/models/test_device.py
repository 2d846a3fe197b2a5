"""Global switches for a GPU are set and restored; tested without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy
import pytest
import torch
import torch.utils.deterministic
from torch import nn

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.models.device import arithmetic, dtype_name, prepare_network, send, torch_dtype


def switches() -> dict[str, object]:
    cudnn: Any = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    return {
        "convolutions": cudnn.conv.fp32_precision,
        "matrices": torch.backends.cuda.matmul.allow_tf32,
        "benchmark": cudnn.benchmark,
        "cudnn": cudnn.deterministic,
        "strict": torch.are_deterministic_algorithms_enabled(),
        "filling": memory.fill_uninitialized_memory,
    }


@pytest.mark.parametrize(
    ("precision", "convolutions"), [("tf32", "tf32"), ("float32", "none"), ("bfloat16", "tf32")]
)
@pytest.mark.parametrize("deterministic", [True, False])
def test_the_switches_follow_precision_and_determinism(
    precision: str, convolutions: str, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(machine.CUBLAS_WORKSPACE[0], raising=False)
    before = switches()
    with arithmetic("cuda", precision, deterministic):
        assert switches() == {
            "convolutions": convolutions,
            "matrices": False,
            "benchmark": not deterministic,
            "cudnn": deterministic,
            "strict": deterministic,
            "filling": not deterministic,
        }
        assert os.environ[machine.CUBLAS_WORKSPACE[0]] == ":4096:8"
    assert switches() == before


def test_the_switches_are_restored_after_an_error() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(ZeroDivisionError), arithmetic("cuda", "tf32", True):
            assert not torch.backends.cuda.matmul.allow_tf32
            raise ZeroDivisionError
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_no_switch_is_set_for_a_cpu() -> None:
    before = switches()
    with arithmetic("cpu", "float32", True):
        assert switches() == before


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UvlpError) as caught, arithmetic("cpu", "half", False):
        pass
    assert (caught.value.what, caught.value.got) == ("unknown precision", "half")


def test_mixed_precision_returns_float32_and_rereads_the_weights() -> None:
    layer = nn.Linear(4, 4)
    network = prepare_network(layer, "cpu", "bfloat16", channels_last=False)
    images = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    first = network(images)
    assert first.dtype == torch.float32 and torch.equal(first, first.bfloat16().float())
    with torch.no_grad():
        layer.weight.mul_(2)
    assert not torch.equal(network(images), first)


def test_matrix_products_use_float32_despite_the_environment() -> None:
    code = (
        "import torch; from uvlp.models.device import arithmetic\n"
        "allowed = lambda: torch.backends.cuda.matmul.allow_tf32\n"
        "before = allowed()\n"
        "with arithmetic('cuda', 'tf32', False): print(before, allowed())\n"
    )
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.split() == ["True", "False"]


def test_names_are_converted_to_dtypes_and_back() -> None:
    assert torch_dtype("bfloat16", "cpu", training=True) == torch.bfloat16
    assert dtype_name(torch_dtype("auto", "cpu")) == "float32"


def test_sent_arrays_keep_values_and_dtypes() -> None:
    array = numpy.arange(6).reshape(2, 3).T
    assert torch.equal(send(array, "cpu"), torch.tensor([[0, 3], [1, 4], [2, 5]]))
    assert send(array, "cpu", torch.float32).dtype == torch.float32
    assert send(array > 2, torch.device("cpu")).dtype == torch.bool


def test_sent_arrays_are_on_the_device() -> None:
    sent = send(numpy.zeros(3), "meta", torch.float32)
    assert (sent.device.type, sent.dtype, sent.shape) == ("meta", torch.float32, (3,))
