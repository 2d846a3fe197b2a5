"""Networks of timm: untrained, at the size used, and refused where they cannot be."""

from __future__ import annotations

import pytest
import torch

from tests.protocols.stripes import prepared, stripes
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.declarations import network as networks
from uvlp.networks.parts import timm_networks
from uvlp.networks.parts.seeded import seeded
from uvlp.protocols import minimax
from uvlp.protocols.training import rded_networks
from uvlp.recipes.evaluation import EvaluateSettings

SMALL = "timm:test_resnet"
VIT = "timm:test_vit"


def refusal(name: str) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        networks.canonical(name)
    return caught.value


def test_names_are_those_of_untrained_networks() -> None:
    assert networks.canonical("TIMM:ResNet18") == "timm:resnet18"
    assert networks.family("timm:resnet18") is None
    assert rded_networks.canonical("timm:resnet18") == "timm:resnet18"
    assert refusal("timm:resnet18.a1_in1k").allowed == "timm:resnet18"
    assert "'timm:resnet18'" in str(refusal("timm:resnet_18").fix)
    for name in ("timm:hf-hub:timm/resnet18", "timm:local-dir:/tmp/x", "timm:a/b"):
        assert "read from elsewhere" in refusal(name).what


def test_a_network_is_initialised_from_the_seed_alone() -> None:
    one, same, other = (seeded(SMALL, classes=4, size_px=32, seed=seed) for seed in (0, 0, 1))
    weights = [torch.cat([each.flatten() for each in network.parameters()]) for network in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert one(torch.zeros(2, 3, 32, 32)).shape == (2, 4)
    again = rded_networks.seeded(SMALL, classes=4, size_px=32, seed=0)
    assert torch.equal(torch.cat([each.flatten() for each in again.parameters()]), weights[0])


def test_a_network_of_a_fixed_size_is_made_for_the_size_used() -> None:
    assert timm_networks.native_px(VIT) == 160
    assert seeded(VIT, classes=4, size_px=32, seed=0)(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize(("name", "size_px"), [(VIT, 40), ("timm:inception_v3", 32)])
def test_a_size_that_does_not_fit(name: str, size_px: int) -> None:
    with pytest.raises(UvlpError) as caught:
        networks.check_network(name, size_px)
    assert caught.value.got == size_px and "which it is made for" in str(caught.value.allowed)


def test_parameters_and_multiply_adds_are_those_of_the_size_used() -> None:
    # Torchvision's documentation: 11,689,512 parameters and 1.81 GFLOPS, multiply-adds counted as one.
    found = timm_networks.counts("timm:resnet18", 1000, 224)
    assert found.parameters == 11_689_512
    assert found.multiply_adds == pytest.approx(1.81e9, rel=0.01)
    small = timm_networks.counts("timm:resnet18", 10, 32)
    assert small.parameters == 11_689_512 - 990 * 513
    assert small.multiply_adds < found.multiply_adds / 40
    text = networks.note("timm:resnet18", 10, 32)
    assert "11.18 M parameters" in text and "made for 224 px" in text
    assert "made for" not in networks.note("timm:resnet18", 10, 224)
    assert networks.note("convnet-3", 10, 32) == "" and networks.package("convnet-3") == ""
    assert networks.package("timm:resnet18").startswith("timm 1.")


@pytest.mark.slow
def test_a_network_is_trained_and_scored() -> None:
    settings = EvaluateSettings(size_px=8, epochs=1, validations=1)
    scores = [
        minimax.evaluate(
            stripes(20, 0),
            prepared(stripes(20, 1)),
            network=SMALL,
            classes=2,
            ipc=10,
            settings=settings,
            seed=0,
            progress=Progress(),
        )
        for _ in range(2)
    ]
    assert scores[0] == scores[1]
    assert scores[0].parameters == timm_networks.counts(SMALL, 2, 8).parameters
