"""Activations that are estimated for computing methods, against what their steps keep alive, layer by layer.

The steps run on the device ``meta``, which has shapes and no values: kernels' workspaces are not counted.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from benchmarks.costs.live_memory import LivePeak
from tests.pipeline.estimates.recipes import paper, planned
from uvlp.core import plugins
from uvlp.declarations.method import declared_method
from uvlp.methods.algorithms.optimising.gradient_matching import matching_loss
from uvlp.methods.algorithms.optimising.inversion import Statistics, inversion_loss
from uvlp.networks.parts.names import split_network
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.estimates.assumptions import network as counts_of
from uvlp.protocols.training import rded_networks
from uvlp.recipes.workload import FORWARD, INVERSION, PIXELS_PER_PASS, SECOND_ORDER, TO_PIXELS

IMAGES = 8
NETWORKS = (("convnet-3", 32), ("convnet-6", 224), ("resnet-ap-10", 224))
TEACHERS = (("conv3", 32), ("conv4", 64), ("resnet18", 224))


def network(name: str, size_px: int) -> nn.Module:
    family, depth = split_network(name)
    built: nn.Module = plugins.load("networks", family).build(depth, classes=10, size_px=size_px)
    return built.to("meta").train()


def teacher(name: str, size_px: int) -> nn.Module:
    return rded_networks.build(name, classes=10, size_px=size_px).to("meta").eval().requires_grad_(False)


def images(size_px: int, count: int = IMAGES) -> Tensor:
    return torch.empty((count, 3, size_px, size_px), device="meta")


def check(name: str, size_px: int, peak: int, multiple: float) -> None:
    """Check that the estimate is at least what was counted, and at most three times as much."""
    counts = counts_of(name, size_px)
    assert counts is not None
    maps = multiple * IMAGES * counts["kept_bytes"]
    assert maps <= 3 * peak and peak <= maps + 8 * counts["parameters"], (name, size_px, peak / maps)


@pytest.mark.parametrize(("name", "size_px"), [*NETWORKS, *TEACHERS])
def test_a_pass_without_gradients(name: str, size_px: int) -> None:
    model = network(name, size_px) if "-" in name else teacher(name, size_px)
    with LivePeak(model) as live, torch.no_grad():
        model(images(size_px))
    check(name, size_px, live.peak, FORWARD)


@pytest.mark.parametrize(("name", "size_px"), NETWORKS)
def test_a_pass_back_to_the_pixels(name: str, size_px: int) -> None:
    model = network(name, size_px).requires_grad_(False)
    with LivePeak(model) as live:
        pixels = images(size_px).requires_grad_()
        model(pixels).sum().backward()
    check(name, size_px, live.peak, TO_PIXELS)


@pytest.mark.parametrize(("name", "size_px"), TEACHERS)
def test_an_inversion(name: str, size_px: int) -> None:
    model = teacher(name, size_px)
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return
    settings = SimpleNamespace(statistics=0.01, first_layer=10.0)
    with LivePeak(model) as live, Statistics(model) as seen:
        pixels = images(size_px).requires_grad_()
        labels = torch.zeros(IMAGES, dtype=torch.int64, device="meta")
        torch.autograd.grad(inversion_loss(model, seen, pixels, labels, settings), pixels)
    check(name, size_px, live.peak, INVERSION)


@pytest.mark.parametrize(("name", "size_px"), NETWORKS)
def test_the_gradient_of_a_gradient(name: str, size_px: int) -> None:
    model = network(name, size_px)
    with LivePeak(model) as live:
        pixels = images(size_px).requires_grad_()
        loss = matching_loss(model, images(size_px), pixels, 0, "l1")
        torch.autograd.grad(loss, pixels)
    check(name, size_px, live.peak, SECOND_ORDER)


def test_methods_say_how_many_images_are_in_memory() -> None:
    size = {"ipc": 10, "classes": 10, "images": 9469, "size_px": 224}
    wanted = {
        "dm": {"convnet-6": FORWARD * 256},  # one class of 256 and 10 images at a time
        "idc-1": {"resnet-ap-10": TO_PIXELS * 64},
        "sre2l": {"resnet18": INVERSION * 10},
        "rded": {"resnet18": FORWARD * 5 * (PIXELS_PER_PASS // (5 * 224**2))},
    }
    for name, held in wanted.items():
        method = declared_method(name)
        assert method.held is not None
        assert method.held(method.settings(), **size) == pytest.approx(held), name


def test_the_estimate_has_images_weights_and_activations() -> None:
    (row,) = (
        row
        for row in report.estimate(
            planned(paper(methods=("dm",), seeds=(0,))), cards.named("h200"), workers=1
        ).rows
        if row.stage == "optimise"
    )
    counts = counts_of("convnet-6", 224)
    assert counts is not None
    real, synthetic = 3 * 224**2 * 9469, 3 * 4 * 3 * 224**2 * 100
    maps = FORWARD * 256 * counts["kept_bytes"] + 8 * counts["parameters"]
    assert row.gpu_bytes == pytest.approx(real + synthetic + maps + 1e9)
