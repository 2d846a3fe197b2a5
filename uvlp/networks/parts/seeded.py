"""A test network by its name, its weights drawn from a seed."""

from __future__ import annotations

import torch
from torch import nn

from uvlp.core.plugins import load
from uvlp.networks.parts.names import split_network


def seeded(
    network: str, *, classes: int, size_px: int, norm: str = "instance", width: int = 0, seed: int
) -> nn.Module:
    """The network with weights drawn from ``seed``; torch's global stream is left as it was.

    Args:
        network: family and depth, e.g. ``"convnet-3"``.
        classes, size_px, norm, width: as `build` in `uvlp/networks/convnet.py` takes them.

    Raises:
        UvlpError: an unknown network, or one that takes no such images.
    """
    family, depth = split_network(network)
    module = load("networks", family)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        made: nn.Module = module.build(depth, classes=classes, size_px=size_px, norm=norm, width=width)
        return made
