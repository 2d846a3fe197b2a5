"""Students and teachers of the RDED protocol (evaluation.md 3.2).

`convD` is the ConvNet of `uvlp/networks` with batch normalisation; all others come from torchvision,
without weights. torch and torchvision take seconds to import, and planning needs only names, so they are
imported inside functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.networks.parts import timm_networks

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = (
    "conv3",
    "conv4",
    "conv5",
    "conv6",
    "resnet18",
    "resnet18_modified",
    "resnet50",
    "resnet101",
    "resnet101_modified",
    "vgg11",
    "mobilenet_v2",
    "efficientnet_b0",
    "alexnet",
    "vit_b_16",
    "swin_v2_t",
)
MODIFIED = "_modified"
WITHOUT_BATCH_NORM = ("vgg11", "alexnet", "vit_b_16", "swin_v2_t")
ROWS = 1000
"""Outputs at construction: some initialisations depend on it, so the classifier is truncated afterwards."""
LEAST_PX = {"vgg11": 32, "alexnet": 63, "swin_v2_t": 4}
ONLY_PX = {"vit_b_16": 224}
POOLED_PX = {"vgg11": 7, "alexnet": 6}
"""Side of the classifier's input maps, if larger than 1x1."""


def canonical(name: str) -> str:
    """Return the published name of an architecture: "convnet-3", "Conv_3" and "conv3" all give "conv3".

    Raises:
        UvlpError: the protocol has no such network.
    """
    if timm_networks.is_timm(name):
        return timm_networks.canonical(name)
    known = {_squashed(architecture): architecture for architecture in ARCHITECTURES}
    wanted = _squashed(name).replace("convnet", "conv")
    if wanted not in known:
        raise unknown_name("network of the RDED protocol", name, ARCHITECTURES)
    return known[wanted]


def _squashed(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def depth(architecture: str) -> int:
    """Return the number of blocks of a `convD`; 0 for any other architecture."""
    return int(architecture.removeprefix("conv")) if architecture.startswith("conv") else 0


def check(architecture: str, size_px: int) -> None:
    """Raise UvlpError, with the sizes that work, if the architecture cannot take images of ``size_px``."""
    if timm_networks.is_timm(architecture):
        timm_networks.check(architecture, size_px)
        return
    only = ONLY_PX.get(architecture)
    if only and size_px != only:
        raise UvlpError(f"image size for {architecture}, px", got=size_px, allowed=f"only {only}")
    least = _least_px(architecture)
    if size_px < least:
        fitting = [name for name in ARCHITECTURES if _least_px(name) <= size_px and name not in ONLY_PX]
        raise UvlpError(
            f"images too small for {architecture}, px",
            got=size_px,
            allowed=f"at least {least}, or one of the networks {', '.join(fitting)}",
            fix=f"choose one, or enlarge the images with --set rded.size_px={least}",
        )


def check_classes(architecture: str, classes: int) -> None:
    """Raise UvlpError if the architecture supports fewer classes."""
    if classes > ROWS and not depth(architecture) and not timm_networks.is_timm(architecture):
        raise UvlpError(f"classes for {architecture}", got=classes, allowed=f"at most {ROWS}")


def check_published(architecture: str, classes: int) -> None:
    """Raise UvlpError unless torchvision publishes weights for ``classes`` classes."""
    fix = "train the teacher here (teacher.source=trained) or name a checkpoint"
    if depth(architecture) or architecture.endswith(MODIFIED) or timm_networks.is_timm(architecture):
        raise UvlpError("torchvision publishes no weights for this network", got=architecture, fix=fix)
    if classes != ROWS:
        what = "classes of a dataset for torchvision's weights"
        raise UvlpError(what, got=classes, allowed=f"the {ROWS} of ImageNet-1K", fix=fix)


def _least_px(architecture: str) -> int:
    return 1 << depth(architecture) if depth(architecture) else LEAST_PX.get(architecture, 1)


def build(architecture: str, *, classes: int, size_px: int) -> nn.Module:
    """Build an untrained network, initialised from torch's global generator as in the reference.

    Args:
        architecture: one of `ARCHITECTURES`, or ``timm:NAME``.
        classes: number of outputs.
        size_px: side of the input images.

    Raises:
        UvlpError: images of ``size_px`` do not fit the architecture, or more than 1000 classes.
    """
    if timm_networks.is_timm(architecture):
        return timm_networks.build(architecture, classes=classes, size_px=size_px)
    assert architecture in ARCHITECTURES, architecture
    check(architecture, size_px)
    if depth(architecture):
        from uvlp.networks import convnet

        return convnet.build(depth(architecture), classes=classes, size_px=size_px, norm="batch")
    check_classes(architecture, classes)
    network = _torchvision(architecture)
    for parameter in list(network.parameters())[-2:]:
        # As in the reference; the classifier's `out_features` remains 1000.
        parameter.data = parameter.data[:classes].clone()
    return network


def _torchvision(architecture: str) -> nn.Module:
    from torch import nn
    from torchvision import models

    from uvlp.networks.parts.layers import AdaptiveAveragePool

    network: nn.Module = getattr(models, architecture.removesuffix(MODIFIED))(weights=None)
    if architecture in POOLED_PX:
        network.avgpool = AdaptiveAveragePool(POOLED_PX[architecture])
    if architecture.endswith(MODIFIED):
        # PyTorch's default initialisation, unlike the other convolutions (quirk Q33).
        network.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        network.maxpool = nn.Identity()
    return network


def seeded(architecture: str, *, classes: int, size_px: int, seed: int) -> nn.Module:
    """`build` with weights initialised from ``seed``; torch's global generator is restored."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build(architecture, classes=classes, size_px=size_px)
