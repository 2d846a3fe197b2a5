"""Roots rounded as IEEE 754 requires, also inside diffusers' schedulers, which are otherwise unchanged."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor
from torch.overrides import TorchFunctionMode

from uvlp.core.square_roots import square_root, with_square_roots
from uvlp.models.diffuser import stable_diffusion_scheduler
from uvlp.models.sampling.sampler import SCHEDULERS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # torch's, called by diffusers
EPS = 2.0**-23
ALL = {**SCHEDULERS, "ddpm": with_square_roots(DDPMScheduler)}


def numbers(largest: int, dtype: type, seed: int = 0) -> Tensor:
    """50,000 positive numbers of every exponent, with subnormals, 0 and infinity, drawn by their bits."""
    bits = np.dtype(dtype).itemsize * 8
    drawn = np.random.default_rng(seed).integers(0, largest, 50_000, dtype=np.uint64)
    drawn[:300] = np.arange(300)
    drawn[300] = largest
    return torch.from_numpy(drawn.astype(f"uint{bits}").view(dtype))


def test_float32_roots_are_rounded_float64_roots() -> None:
    """Double rounding is exact here: 53 bits are at least 2 * 24 + 2."""
    values = numbers(0x7F800000, np.float32)
    expected = [np.float32(math.sqrt(value)) for value in values.tolist()]
    assert square_root(values).numpy().tobytes() == np.array(expected).tobytes()


def test_float64_roots_equal_those_of_the_processor() -> None:
    values = numbers(0x7FF0000000000000, np.float64)
    assert square_root(values).tolist() == [math.sqrt(value) for value in values.tolist()]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_roots_are_rounded_float64_roots(dtype: torch.dtype) -> None:
    largest = {torch.float16: 0x7C00, torch.bfloat16: 0x7F80}[dtype]
    values = torch.arange(largest + 1, dtype=torch.int16).view(dtype)
    exact = torch.tensor([math.sqrt(value) for value in values.tolist()], dtype=torch.float64)
    assert square_root(values).equal(exact.to(dtype))


def test_shape_and_dtype_are_kept() -> None:
    for shape in ((), (0,), (2, 3)):
        roots = square_root(torch.full(shape, 4.0))
        assert roots.shape == shape and roots.dtype == torch.float32 and (roots == 2).all()
    strided = torch.arange(12.0).reshape(3, 4).T
    assert square_root(strided).equal(torch.stack([square_root(row) for row in strided]))
    assert square_root(torch.tensor([-1.0, -0.0])).isnan().tolist() == [True, False]
    assert square_root(torch.tensor(9)).item() == 3.0


class RootCalls(TorchFunctionMode):
    """Records calls with which torch itself would compute a root."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if "sqrt" in name or ("pow" in name and any(abs(p) == 0.5 for p in args if isinstance(p, float))):
            self.calls.append(name)
        return func(*args, **(kwargs or {}))


def denoise(scheduler: Any) -> list[Tensor]:
    """Return noised latents, model inputs and outcomes of six steps."""
    generator = torch.Generator().manual_seed(0)
    sample, noise, *outputs = torch.randn((10, 2, 4, 8, 8), generator=generator)
    scheduler.set_timesteps(6)
    steps = scheduler.timesteps[1:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(1)
    sample = scheduler.add_noise(sample, noise, steps[:1].repeat(2))
    tensors = [sample]
    for step, output in zip(steps, outputs, strict=False):
        tensors.append(scheduler.scale_model_input(sample, step))
        options = {"generator": generator} if isinstance(scheduler, DDPMScheduler) else {}
        sample = scheduler.step(output, step, sample, **options).prev_sample
        tensors.append(sample)
    return tensors


def build(scheduler: Any) -> Any:
    return scheduler.from_config({"clip_sample": False, **stable_diffusion_scheduler().config})


@pytest.mark.parametrize("name", ALL)
def test_schedulers_compute_no_root_with_torch(name: str) -> None:
    with RootCalls() as ours:
        denoise(build(ALL[name]))
    with RootCalls() as stock:
        denoise(build(ALL[name].__base__))
    assert stock.calls and not ours.calls


@pytest.mark.parametrize("name", ALL)
def test_scheduler_agrees_with_the_original(name: str) -> None:
    """Up to the roots, each at most one unit in the last place off.

    From noise to the last latent there are six steps, each with at most 32 roundings; the rounded values are
    below (|sample| + |noise|) / sqrt(abar), whose factor is at most 1 / sqrt(0.0047) < 15, and the normal
    random numbers are below 5.
    """
    actual, expected = denoise(build(ALL[name])), denoise(build(ALL[name].__base__))
    bound = 6 * 32 * EPS * (5 + 5) * 15
    for ours, stock in zip(actual, expected, strict=True):
        assert ours.isfinite().all() and (ours - stock).abs().max() <= bound
    assert actual[0].shape == (2, 4, 8, 8)


@pytest.mark.parametrize("name", ALL)
def test_scheduler_settings_and_signatures_are_unchanged(name: str) -> None:
    ours, stock = ALL[name], ALL[name].__base__
    assert dict(build(ours).config) == dict(build(stock).config)
    for method in ("step", "set_timesteps", "__init__"):
        assert inspect.signature(getattr(ours, method)) == inspect.signature(getattr(stock, method))
