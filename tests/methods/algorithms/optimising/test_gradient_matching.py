"""Gradient matching against its equation written out in float64, its gradients, and the update of pixels."""

from __future__ import annotations

import copy

import numpy
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import depth, rounding
from uvlp.methods.algorithms.optimising.gradient_matching import (
    DISTANCES,
    convolution_weights,
    descend_,
    matching_loss,
)
from uvlp.networks.parts.seeded import seeded


def network(name: str = "convnet-1", size_px: int = 8) -> nn.Module:
    return seeded(name, classes=3, size_px=size_px, width=2, seed=0).double()


def images(count: int, seed: int, size_px: int = 8) -> Tensor:
    return torch.from_numpy(numpy.random.default_rng(seed).normal(size=(count, 3, size_px, size_px)))


def differences(model: nn.Module, real: Tensor, synthetic: Tensor, label: int) -> numpy.ndarray:
    """Differences of the gradients of all weights of convolutions, from a backward pass of each side."""
    gradients = []
    for side in (real, synthetic):
        copied = copy.deepcopy(model)
        loss = -(copied(side).softmax(1)[:, label].log()).mean()
        loss.backward()
        convolutions = [module for module in copied.modules() if isinstance(module, nn.Conv2d)]
        matched = [each.weight.grad.flatten() for each in convolutions if each.weight.grad is not None]
        gradients.append(torch.cat(matched).numpy())
    return numpy.asarray(gradients[1] - gradients[0])


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", ["convnet-3", "resnet-ap-10"])
def test_the_loss_is_the_published_one(name: str, distance: str) -> None:
    model = network(name, 32)
    real, synthetic = images(5, 0, 32), images(2, 1, 32)
    found = matching_loss(model, real, synthetic, 1, distance).item()
    values = abs(differences(model, real, synthetic, 1))
    # Rounding on the way forward and back through the network changes each difference; the mean over them.
    each = rounding(4 * depth(model), torch.float64, largest=values.max())
    expected = {"l1": values.mean(), "mse": (values**2).mean()}[distance]
    bound = {"l1": each, "mse": 2 * values.max() * each}[distance]
    assert found / len(values) == pytest.approx(expected, abs=bound)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients(distance: str) -> None:
    """The gradient passes through that of the network: a second derivative."""
    model, real = network(), images(3, 2)
    synthetic = images(2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda own: matching_loss(model, real, own, 0, distance), synthetic)


def test_only_weights_of_convolutions_are_matched() -> None:
    model = network("resnet-ap-10")
    matched = {id(weight) for weight in convolution_weights(model)}
    expected = {id(module.weight) for module in model.modules() if isinstance(module, nn.Conv2d)}
    assert matched == expected and len(matched) == 12


def test_updates_are_those_of_sgd_on_all_images() -> None:
    """Between two updates of a class its images move on by their momentum."""
    ipc, classes, lr, momentum = 2, 3, 0.1, 0.5
    start = images(ipc * classes, 5)
    leaf = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([leaf], lr=lr, momentum=momentum)
    pixels, velocity = start.clone(), torch.zeros_like(start)
    for number in range(7):
        rows = slice(ipc * (number % classes), ipc * (number % classes + 1))
        target = images(ipc, 6 + number)
        optimiser.zero_grad()
        (leaf[rows] - target).square().sum().backward()
        optimiser.step()
        gradient = 2 * (pixels[rows] - target)
        descend_(pixels, velocity, gradient, rows, lr=lr, momentum=momentum)
        bound = rounding(8 * (number + 1), torch.float64, largest=16)
        torch.testing.assert_close(pixels, leaf.detach(), rtol=0, atol=bound)
    assert (pixels != start).all()
