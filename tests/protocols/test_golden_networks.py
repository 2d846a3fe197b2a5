"""Golden networks: parameters, feature maps of every stage and logits under deterministic weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from tests.protocols.golden_data import arrays, network_input, over_rows, read, weight
from tests.tolerances import depth, rounding
from uvlp.core.plugins import load
from uvlp.protocols.training import rded_networks

CASES = read("networks.json")
LOGITS = arrays("networks.npz")
NAME = re.compile(r"(convnet|resnet_ap|resnet)(\d+)_(.*)_nc(\d+)")
RDED_NAME = re.compile(r"rded_(\w+?)(?:_bn)?_(\d+)_nc(\d+)")


def build(name: str, size_px: int) -> Any:
    """Build the network of a case, `<family><depth>_<norm>_<px>_nc<classes>` or `rded_<network>_<px>...`."""
    if published := RDED_NAME.fullmatch(name):
        assert int(published[2]) == size_px
        return rded_networks.build(published[1], classes=int(published[3]), size_px=size_px)
    match = NAME.fullmatch(name)
    assert match, f"unknown network {name}"
    family, depth, variant, classes = match[1], int(match[2]), match[3].split("_"), int(match[4])
    norm = "batch" if "bn" in variant else "instance"
    width = 32 if "cifar" in variant else 0  # the only difference of the reference's variant for CIFAR
    assert set(variant) <= {"in", "bn", "cifar", str(size_px)}, f"unknown variant {name}"
    return load("networks", family).build(depth, classes=classes, size_px=size_px, norm=norm, width=width)


def set_weights(network: nn.Module, scheme: str) -> None:
    for position, (name, parameter) in enumerate(network.named_parameters()):
        values = weight(scheme, position, tuple(parameter.shape), name.endswith("weight"))
        parameter.data.copy_(torch.from_numpy(values))


def check_stage(features: torch.Tensor, expected: dict[str, Any], operations: int) -> None:
    assert list(features.shape) == expected["shape"]
    found = features.mean().item(), features.norm().item(), features.abs().max().item()
    bound = rounding(operations + features.numel(), torch.float64, largest=expected["absmax"])
    assert found[::2] == pytest.approx((expected["mean"], expected["absmax"]), rel=0, abs=bound)
    assert found[1] == pytest.approx(expected["l2"], rel=0, abs=bound * features.numel() ** 0.5)


def features_and_logits(network: Any, images: torch.Tensor, stages: list[dict[str, Any]]) -> Any:
    """Compare every stage, and return the logits; for torchvision's networks there are only logits."""
    if not hasattr(network, "taps"):
        assert not stages
        return network(images)
    features = list(network.taps(images))
    for found, stage in zip(features, stages, strict=True):
        check_stage(found, stage, depth(network))
    *_, classifier = network.children()
    return classifier(features[-1].flatten(1))


def schemes() -> Iterator[tuple[str, str]]:
    for name, case in CASES.items():
        assert case["schemes"], f"{name} has no weight scheme"
        yield from ((name, scheme) for scheme in case["schemes"])


def marked() -> Iterator[Any]:
    """Yield every case; large images with further weights are slow in float64."""
    for name, scheme in schemes():
        large = CASES[name]["input_shape"][-1] >= 128 and scheme != "reg"
        yield pytest.param(name, scheme, marks=pytest.mark.slow if large else ())


@over_rows(CASES)
def test_parameters_are_registered_in_order(name: str) -> None:
    case = CASES[name]
    with torch.device("meta"):
        network = build(name, case["input_shape"][-1])
    found = [[key.removeprefix("layer0."), list(value.shape)] for key, value in network.named_parameters()]
    assert found == [[key.removeprefix("layer0."), shape] for key, shape in case["params"]]
    assert len(found) == case["n_param_tensors"]
    assert sum(parameter.numel() for parameter in network.parameters()) == case["n_params"]


@pytest.mark.parametrize(("name", "scheme"), list(marked()))
def test_features_and_logits(name: str, scheme: str) -> None:
    case, expected = CASES[name], CASES[name]["schemes"][scheme]
    shape = tuple(case["input_shape"])
    network = build(name, shape[-1]).double().eval()
    set_weights(network, scheme)
    images = torch.from_numpy(network_input(shape, 9999))
    with torch.inference_mode():
        logits = features_and_logits(network, images, expected["stages"])
        single = network.float()(images.float()).numpy()
    wide, narrow = (LOGITS[f"{name}/{scheme}/logits{bits}"] for bits in (64, 32))
    bounds = [rounding(depth(network), dtype, abs(wide).max()) for dtype in (torch.float64, torch.float32)]
    assert logits.norm().item() == pytest.approx(expected["logits_l2"], rel=0, abs=bounds[0] * wide.size**0.5)
    assert logits.mean().item() == pytest.approx(expected["logits_mean"], rel=0, abs=bounds[0])
    numpy.testing.assert_allclose(logits.numpy(), wide, rtol=0, atol=bounds[0])
    numpy.testing.assert_allclose(single, narrow, rtol=0, atol=bounds[1])


def test_every_array_belongs_to_a_case() -> None:
    known = {f"{name}/{scheme}/{kind}" for name, scheme in schemes() for kind in ("logits64", "logits32")}
    assert set(LOGITS) == known
