"""Build a test network by name, initialised from a seed."""

from __future__ import annotations

import torch
from torch import nn

from uvlp.core.errors import wrong_return
from uvlp.core.plugins import find, load
from uvlp.core.wording import kind_of
from uvlp.networks.parts import timm_networks
from uvlp.networks.parts.names import split_network


def seeded(
    network: str, *, classes: int, size_px: int, norm: str = "instance", width: int = 0, seed: int
) -> nn.Module:
    """Return the network, initialised from ``seed``; torch's global generator is restored.

    Args:
        network: family and depth, e.g. ``"convnet-3"``, or ``"timm:NAME"``.
        classes, size_px, norm, width: arguments of `build`, e.g. in `uvlp/networks/convnet.py`; networks of
            timm have their own normalisation and width.

    Raises:
        UvlpError: an unknown network, images too small for it, or a `build` that returns something else.
    """
    timm = timm_networks.is_timm(network)
    family, depth = ("", 0) if timm else split_network(network)
    file = network if timm else find("networks", family).file
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if timm:
            built = timm_networks.build(network, classes=classes, size_px=size_px)
        else:
            build = load("networks", family).build
            built = build(depth, classes=classes, size_px=size_px, norm=norm, width=width)
        if not isinstance(built, nn.Module):
            raise wrong_return(file, "build", "an nn.Module", kind_of(built))
        _check_logits(built, classes, size_px, file)
    return built


@torch.no_grad()
def _check_logits(network: nn.Module, classes: int, size_px: int, file: str) -> None:
    """Check the logits of two black images; the network is left in training mode, as built."""
    wanted = f"a network from images float32 [N, 3, {size_px}, {size_px}] to logits [N, {classes}]"
    network.eval()
    try:
        logits = network(torch.zeros(2, 3, size_px, size_px))
    except (RuntimeError, TypeError, ValueError) as error:
        raise wrong_return(file, "build", wanted, f"{type(error).__name__}: {error}") from error
    network.train()
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        raise wrong_return(file, "build", wanted, kind_of(logits))
    if not logits.is_meta and not bool(torch.isfinite(logits).all()):
        raise wrong_return(file, "build", wanted, "logits that are not finite")
