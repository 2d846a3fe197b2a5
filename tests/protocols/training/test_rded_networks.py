"""Networks of the RDED protocol: names, sizes, and initialisation."""

from __future__ import annotations

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.protocols.training import rded_networks
from uvlp.protocols.training.rded_networks import ARCHITECTURES, build, canonical, check, seeded

COUNTS = {
    ("conv3", 32, 10): 320_010,
    ("conv4", 64, 200): 857_160,
    ("conv5", 128, 10): 615_690,
    ("conv6", 128, 100): 794_340,
    ("resnet18", 224, 10): 11_181_642,
    ("resnet18", 224, 1000): 11_689_512,
    ("resnet18_modified", 32, 10): 11_173_962,
    ("resnet18_modified", 32, 100): 11_220_132,
    ("resnet18_modified", 64, 200): 11_271_432,
}


@pytest.mark.parametrize(("architecture", "size_px", "classes"), COUNTS)
def test_parameter_counts_are_the_published_ones(architecture: str, size_px: int, classes: int) -> None:
    with torch.device("meta"):
        network = build(architecture, classes=classes, size_px=size_px)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == COUNTS[architecture, size_px, classes]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_one_logit_per_class(architecture: str) -> None:
    least = rded_networks.ONLY_PX.get(architecture) or rded_networks.LEAST_PX.get(architecture, 64)
    with torch.device("meta"):
        network = build(architecture, classes=7, size_px=least)
        assert network(torch.empty(2, 3, least, least)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("conv3", "conv3"),
        ("convnet-3", "conv3"),
        ("ConvNet_6", "conv6"),
        ("resnet-18", "resnet18"),
        ("resnet-18-modified", "resnet18_modified"),
        ("efficientNet-b0", "efficientnet_b0"),
        ("mobilenet-v2", "mobilenet_v2"),
        ("ViT-B-16", "vit_b_16"),
    ],
)
def test_other_spellings_are_accepted(name: str, published: str) -> None:
    assert canonical(name) == published


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_published_names_are_unchanged(architecture: str) -> None:
    assert canonical(architecture) == architecture


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UvlpError) as caught:
        canonical("resnet19")
    assert caught.value.got == "resnet19" and "'resnet18'" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("architecture", "size_px", "allowed"),
    [
        ("conv6", 32, "at least 64, or one of the networks conv3, conv4, conv5, resnet18,"),
        ("conv4", 15, "at least 16"),
        ("alexnet", 32, "at least 63"),
        ("vgg11", 31, "at least 32"),
        ("vit_b_16", 256, "only 224"),
    ],
)
def test_impossible_sizes_are_refused(architecture: str, size_px: int, allowed: str) -> None:
    with pytest.raises(UvlpError) as caught:
        build(architecture, classes=10, size_px=size_px)
    assert architecture in caught.value.what and caught.value.got == size_px
    assert str(caught.value.allowed).startswith(allowed)


@pytest.mark.parametrize(("architecture", "least"), rded_networks.LEAST_PX.items())
def test_the_smallest_size_runs_and_a_smaller_one_does_not(architecture: str, least: int) -> None:
    check(architecture, least)
    with torch.device("meta"):
        network = build(architecture, classes=2, size_px=least)
        with pytest.raises(RuntimeError):
            network(torch.empty(2, 3, least - 1, least - 1))


def test_the_replaced_convolution_has_the_default_initialisation_and_the_others_torchvisions() -> None:
    network = seeded("resnet18_modified", classes=10, size_px=32, seed=0)
    weights = dict(network.named_parameters())
    assert weights["conv1.weight"].std().item() == pytest.approx((1 / 27 / 3) ** 0.5, rel=0.05)
    assert weights["layer1.0.conv1.weight"].std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.02)


def test_the_classifier_is_the_first_rows_of_one_with_a_thousand() -> None:
    few = seeded("efficientnet_b0", classes=10, size_px=64, seed=3)
    full = seeded("efficientnet_b0", classes=1000, size_px=64, seed=3)
    *_, weight, bias = few.parameters()
    *_, all_weights, all_biases = full.parameters()
    assert torch.equal(weight, all_weights[:10]) and torch.equal(bias, all_biases[:10])
    assert weight.abs().max() <= 1000**-0.5  # with ten rows it would reach 0.3


def test_weights_depend_on_the_seed_and_the_global_generator_is_restored() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (seeded("conv3", classes=4, size_px=8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(one, same) for one, same, _ in pairs)
    assert not torch.equal(pairs[0][0], pairs[0][2])


def test_more_than_a_thousand_classes_are_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        build("resnet18", classes=1001, size_px=32)
    assert (caught.value.what, caught.value.got) == ("classes for resnet18", 1001)
    assert caught.value.allowed == "at most 1000"
