"""The number type follows the device; what it cannot do is refused in one line."""

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models import device as precision


def gpu(monkeypatch: pytest.MonkeyPatch, major: int) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (major, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")


def test_a_cpu_computes_in_float32() -> None:
    assert (
        precision.resolve("auto", "cpu") == precision.resolve("auto", "cpu", training=True) == torch.float32
    )
    with pytest.raises(UvlpError, match="precision on cpu: got 'float16'"):
        precision.resolve("float16", "cpu")


@pytest.mark.parametrize(
    ("major", "training"), [(7, torch.float16), (8, torch.bfloat16), (9, torch.bfloat16)]
)
def test_a_gpu_trains_in_what_it_has(monkeypatch, major: int, training: torch.dtype) -> None:
    gpu(monkeypatch, major)
    assert precision.resolve("auto", "cuda", training=True) == training
    assert precision.resolve("auto", "cuda") == torch.float16
    assert precision.name(precision.resolve("float16", "cuda")) == "float16"


def test_what_a_gpu_lacks_is_refused(monkeypatch) -> None:
    gpu(monkeypatch, 7)
    with pytest.raises(UvlpError, match="does not compute in bfloat16"):
        precision.resolve("bfloat16", "cuda")
    with pytest.raises(UvlpError, match="precision on cuda: got 'half'.*allowed: auto"):
        precision.resolve("half", "cuda")
