"""The dtype depends on the device; unsupported ones are refused."""

import pytest

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.recipes.precision import resolve_dtype


def gpu(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    monkeypatch.setattr(machine, "gpu_has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(machine, "gpu_name", lambda: "a GPU")


def refused(precision: str, device: str) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        resolve_dtype(precision, device)
    return caught.value


def test_cpu_uses_float32() -> None:
    assert resolve_dtype("auto", "cpu") == resolve_dtype("auto", "cpu", training=True) == "float32"
    assert resolve_dtype("bfloat16", "cpu") == "bfloat16"
    error = refused("float16", "cpu")
    assert (error.got, error.allowed) == ("float16", "auto, float32, bfloat16")


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gpu_trains_in_bfloat16_if_supported(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    gpu(monkeypatch, bfloat16)
    assert resolve_dtype("auto", "cuda", training=True) == ("bfloat16" if bfloat16 else "float16")
    assert resolve_dtype("auto", "cuda") == resolve_dtype("float16", "cuda") == "float16"


def test_unsupported_dtype_of_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, bfloat16=False)
    error = refused("bfloat16", "cuda")
    assert (error.got, error.allowed) == ("a GPU", "auto, float16")
    assert refused("half", "cuda").allowed == "auto, float32, bfloat16, float16"
