"""Roots as IEEE 754 rounds them, also inside diffusers' schedulers, which stay what they are otherwise."""

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
    """50,000 positive numbers of every exponent, subnormal ones, 0 and infinity too, drawn by their bits."""
    bits = np.dtype(dtype).itemsize * 8
    drawn = np.random.default_rng(seed).integers(0, largest, 50_000, dtype=np.uint64)
    drawn[:300] = np.arange(300)
    drawn[300] = largest
    return torch.from_numpy(drawn.astype(f"uint{bits}").view(dtype))


def test_float32_roots_are_float64_roots_rounded() -> None:
    """Which rounds right: 53 bits are at least twice 24 and two more."""
    values = numbers(0x7F800000, np.float32)
    expected = [np.float32(math.sqrt(value)) for value in values.tolist()]
    assert square_root(values).numpy().tobytes() == np.array(expected).tobytes()


def test_float64_roots_are_those_of_the_processor() -> None:
    values = numbers(0x7FF0000000000000, np.float64)
    assert square_root(values).tolist() == [math.sqrt(value) for value in values.tolist()]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_roots_in_half_precision_are_float64_roots_rounded(dtype: torch.dtype) -> None:
    largest = {torch.float16: 0x7C00, torch.bfloat16: 0x7F80}[dtype]
    values = torch.arange(largest + 1, dtype=torch.int16).view(dtype)
    exact = torch.tensor([math.sqrt(value) for value in values.tolist()], dtype=torch.float64)
    assert square_root(values).equal(exact.to(dtype))


def test_form_is_kept() -> None:
    for shape in ((), (0,), (2, 3)):
        found = square_root(torch.full(shape, 4.0))
        assert found.shape == shape and found.dtype == torch.float32 and (found == 2).all()
    strided = torch.arange(12.0).reshape(3, 4).T
    assert square_root(strided).equal(torch.stack([square_root(row) for row in strided]))
    assert square_root(torch.tensor([-1.0, -0.0])).isnan().tolist() == [True, False]
    assert square_root(torch.tensor(9)).item() == 3.0


class Seen(TorchFunctionMode):
    """Collects the calls by which torch itself would take a root."""

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
    """Noised latents, what the model is given, and the outcome of every step, six of them."""
    generator = torch.Generator().manual_seed(0)
    sample, noise, *outputs = torch.randn((10, 2, 4, 8, 8), generator=generator)
    scheduler.set_timesteps(6)
    steps = scheduler.timesteps[1:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(1)
    sample = scheduler.add_noise(sample, noise, steps[:1].repeat(2))
    found = [sample]
    for step, output in zip(steps, outputs, strict=False):
        found.append(scheduler.scale_model_input(sample, step))
        options = {"generator": generator} if isinstance(scheduler, DDPMScheduler) else {}
        sample = scheduler.step(output, step, sample, **options).prev_sample
        found.append(sample)
    return found


def build(scheduler: Any) -> Any:
    return scheduler.from_config({"clip_sample": False, **stable_diffusion_scheduler().config})


@pytest.mark.parametrize("name", ALL)
def test_no_root_of_a_scheduler_is_left_to_torch(name: str) -> None:
    with Seen() as ours:
        denoise(build(ALL[name]))
    with Seen() as stock:
        denoise(build(ALL[name].__base__))
    assert stock.calls and not ours.calls


@pytest.mark.parametrize("name", ALL)
def test_a_scheduler_computes_what_the_stock_one_does(name: str) -> None:
    """Up to the roots, each at most the neighbour of the right number.

    From noise to the last latent there are six steps, each of at most 32 roundings; what is rounded is below
    (|sample| + |noise|) / sqrt(abar), whose factor is at most 1 / sqrt(0.0047) < 15, and normal numbers are
    below 5.
    """
    found, expected = denoise(build(ALL[name])), denoise(build(ALL[name].__base__))
    bound = 6 * 32 * EPS * (5 + 5) * 15
    for ours, stock in zip(found, expected, strict=True):
        assert ours.isfinite().all() and (ours - stock).abs().max() <= bound
    assert found[0].shape == (2, 4, 8, 8)


@pytest.mark.parametrize("name", ALL)
def test_settings_and_parameters_are_the_stock_ones(name: str) -> None:
    ours, stock = ALL[name], ALL[name].__base__
    assert dict(build(ours).config) == dict(build(stock).config)
    for method in ("step", "set_timesteps", "__init__"):
        assert inspect.signature(getattr(ours, method)) == inspect.signature(getattr(stock, method))
