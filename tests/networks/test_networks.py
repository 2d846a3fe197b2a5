"""Test networks: supported and unsupported sizes, parameter counts of evaluation.md 2.3."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import load, names
from uvlp.declarations.network import declared_network
from uvlp.networks.parts.names import split_network


def build(
    name: str, classes: int = 10, size_px: int = 32, norm: str = "instance", width: int = 0
) -> nn.Module:
    family, depth = split_network(name)
    module: nn.Module = load("networks", family).build(
        depth, classes=classes, size_px=size_px, norm=norm, width=width
    )
    return module


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_file_declares_a_network() -> None:
    assert names("networks") == ["convnet", "resnet", "resnet-ap"]
    for name in names("networks"):
        module = load("networks", name)
        assert callable(module.build) and declared_network(name).least_px == module.LEAST_PX


@pytest.mark.parametrize(
    ("name", "size_px", "norm", "classes", "expected"),
    [
        ("convnet-3", 32, "instance", 10, 320_010),
        ("convnet-4", 64, "batch", 200, 857_160),
        ("convnet-6", 224, "instance", 100, 858_340),
        ("resnet-18", 64, "instance", 100, 11_220_132),
        ("resnet-18", 224, "batch", 1000, 11_689_512),
        ("resnet-50", 224, "batch", 1000, 25_557_032),  # this and the next two: torchvision
        ("resnet-101", 224, "batch", 1000, 44_549_160),
        ("resnet-152", 224, "batch", 1000, 60_192_808),
        ("resnet-34", 224, "batch", 1000, 21_797_672),
        ("resnet-ap-10", 224, "instance", 10, 4_910_922),
        ("resnet-ap-18", 128, "instance", 10, 11_173_962),
    ],
)
def test_parameter_counts(name: str, size_px: int, norm: str, classes: int, expected: int) -> None:
    with torch.device("meta"):
        assert parameters(build(name, classes, size_px, norm)) == expected


@pytest.mark.parametrize("size_px", [16, 32])
@pytest.mark.parametrize("name", ["convnet-3", "resnet-10", "resnet-18", "resnet-50", "resnet-ap-10"])
def test_networks_take_small_images(name: str, size_px: int) -> None:
    network = build(name, classes=7, size_px=size_px, width=8)
    logits = network(torch.randn(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 7) and logits.isfinite().all()
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_width_scales_every_stage() -> None:
    assert parameters(build("resnet-10", width=32)) == 1_228_970  # the reference's CIFAR variant
    assert parameters(build("resnet-ap-18", width=32)) == 2_797_610
    assert parameters(build("convnet-3", size_px=16, width=32)) == 20_874


@pytest.mark.parametrize(
    ("name", "size_px", "got", "allowed"),
    [
        ("convnet-6", 32, None, "convnet-1 to convnet-5, or images of at least 64 px"),
        ("convnet-5", 16, None, "convnet-1 to convnet-4, or images of at least 32 px"),
        ("resnet-12", 32, 12, "10, 18, 34, 50, 101, 152"),
        ("resnet-ap-50", 32, 50, "10, 18, 34"),
        ("resnet-18", 4, 4, "at least 8 px"),
    ],
)
def test_impossible_depths_and_sizes_are_refused(
    name: str, size_px: int, got: int | None, allowed: str
) -> None:
    with pytest.raises(UvlpError) as caught:
        build(name, size_px=size_px)
    assert (caught.value.got, caught.value.allowed) == (got, allowed)


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        build("convnet-3", norm="layer")
    assert (caught.value.what, caught.value.got) == ("unknown normalisation", "layer")
    assert caught.value.allowed == "instance, batch"


@pytest.mark.parametrize("name", ["convnet-3", "resnet-10", "resnet-ap-10"])
def test_instance_norm_does_not_depend_on_the_batch(name: str) -> None:
    network = build(name, size_px=16, width=8).double()
    images = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alone = torch.cat([network(image) for image in images.split(1)])
    bound = rounding(depth(network), torch.float64, largest=alone.abs().max().item())
    torch.testing.assert_close(network(images), alone, rtol=0, atol=bound)


def test_convolutions_are_initialised_by_fan_out() -> None:
    weights = build("resnet-18").get_submodule("layer4.1.conv2").weight
    assert isinstance(weights, torch.Tensor)
    assert weights.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
