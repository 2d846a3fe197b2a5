"""Guided ancestral sampling against NumPy, and its independence of batches and interruptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import tiny_models
from tests.methods.algorithms.optimising.small_inputs import small_inputs
from tests.tolerances import EXPONENTIAL, rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.methods.algorithms import guided_sampling
from uvlp.methods.algorithms.guided_sampling import sample, sampled
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.dit import Settings
from uvlp.models.dit import diffusion

STEPS, NULL, GUIDANCE = 4, 9, 4.0
SETTINGS = Settings(steps=2, batch=3)


class Toy(torch.nn.Module):
    """Outputs that depend on latent, time and label."""

    def forward(self, noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        noise = 0.3 * noisy + (1e-4 * timesteps + 0.05 * labels)[:, None, None, None]
        return torch.cat((noise, 0.1 * noisy + 0.01 * labels[:, None, None, None]), dim=1)


def in_numpy(labels: list[int], noise: np.ndarray) -> np.ndarray:
    """DDPM with learned variances and guidance of three channels (evaluation.md 5.1)."""
    times = np.round(np.linspace(0, 999, STEPS)).astype(int)
    abar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[times]
    before = np.concatenate([[1.0], abar[:-1]])
    beta = 1 - abar / before
    latents = []
    for label, own in zip(labels, noise, strict=True):
        x = own[0]
        for draw, t in enumerate(reversed(range(STEPS)), start=1):
            given, null = ((0.3 * x + 1e-4 * times[t] + 0.05 * y) for y in (label, NULL))
            noise_of_x = given.copy()
            noise_of_x[:3] = null[:3] + GUIDANCE * (given[:3] - null[:3])
            v = 0.1 * x + 0.01 * label
            clean = x / np.sqrt(abar[t]) - np.sqrt(1 / abar[t] - 1) * noise_of_x
            x = (beta[t] * np.sqrt(before[t]) * clean + (1 - before[t]) * np.sqrt(1 - beta[t]) * x) / (
                1 - abar[t]
            )
            if t:
                least = np.log(beta[t] * (1 - before[t]) / (1 - abar[t]))
                x = x + np.exp(0.5 * ((v + 1) / 2 * np.log(beta[t]) + (1 - v) / 2 * least)) * own[draw]
        latents.append(x)
    return np.stack(latents)


def test_the_sampler_equals_numpy() -> None:
    labels = torch.tensor([2, 7])
    noise = torch.randn(2, STEPS, 4, 2, 2, generator=torch.manual_seed(0), dtype=torch.float64)
    process = diffusion.chain(STEPS)
    found = sample(Toy(), process, labels, noise, null=NULL, guidance=GUIDANCE, progress=Progress())
    expected = in_numpy([2, 7], noise.numpy())
    # The tables are rounded to float32, as in the reference: eight factors in each step.
    largest = max(1.0, float(np.abs(expected).max()) / float(process.abar[-1]) ** 0.5)
    bound = rounding(STEPS * (8 + EXPONENTIAL), largest=largest)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=bound)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> MethodInput:
    folder = tiny_models.dit(tmp_path_factory.mktemp("dit") / "model")
    return replace(small_inputs(ipc=2, models={"transformer": folder}), labels=(207, 0, 999))


def made(inputs: MethodInput, settings: Settings, done: int = 0) -> dict[int, np.ndarray]:
    batches = sampled(inputs, settings, Progress(), done, "transformer", "dit")
    return {row: image for rows, images in batches for row, image in zip(rows, images, strict=True)}


def test_images_have_their_own_noise_in_any_batch(inputs: MethodInput) -> None:
    expected = made(inputs, SETTINGS)
    assert list(expected) == list(range(6)) and {image.shape for image in expected.values()} == {(64, 64, 3)}
    others = made(inputs, replace(SETTINGS, batch=2))
    for row, image in expected.items():
        # Another batch changes rounding only, which may change a level by one.
        assert np.abs(image.astype(int) - others[row].astype(int)).max() <= 1
    assert not np.array_equal(expected[0], expected[1])
    seed = made(replace(inputs, seed=1), SETTINGS)
    assert not np.array_equal(seed[0], expected[0])


def test_finished_images_are_not_sampled_again(inputs: MethodInput) -> None:
    expected, rest = made(inputs, SETTINGS), made(inputs, SETTINGS, done=3)
    assert list(rest) == [3, 4, 5]
    assert all(np.array_equal(image, expected[row]) for row, image in rest.items())


def test_labels_are_given_to_the_network(inputs: MethodInput, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[int]] = []

    def recorded(
        network: torch.nn.Module, process: object, labels: Tensor, noise: Tensor, **_: object
    ) -> Tensor:
        given.append(labels.tolist())
        return noise[:, 0]

    monkeypatch.setattr(guided_sampling, "sample", recorded)
    made(inputs, SETTINGS)
    assert given == [[207, 207, 0], [0, 999, 999]]


def test_images_that_are_not_finite_are_refused(inputs: MethodInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        guided_sampling, "sample", lambda *given, **_: torch.full_like(given[3][:, 0], torch.nan)
    )
    with pytest.raises(UvlpError) as caught:
        made(inputs, SETTINGS)
    assert "dit.guidance" in str(caught.value.fix)
