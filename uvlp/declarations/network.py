"""The declaration of a network family, a file in `uvlp/networks`, and the names of its members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from inspect import Signature
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, function, of_source, positive_integer
from uvlp.networks.parts import network_sizes, timm_networks
from uvlp.networks.parts.names import split_network


def _sizes(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(positive_integer, [*value, *value.values()]))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDeclaration:
    """A family of networks. Its source is parsed, not imported, so that planning does not import torch.

    Attributes:
        origin: package and file of the plug-in.
        revision: to be raised when its results change.
        least_px: smallest side of an image by depth; a literal in the file.
        build: ``build(depth, *, classes, size_px, norm, width)``: an `nn.Module` from normalised images
            [N,3,size_px,size_px] to logits [N,classes], with PyTorch's initialisation from the global stream.
            norm: "instance" or "batch"; width: channels, 0 for the default.
    """

    origin: Origin
    revision: int = constant("an integer of at least 1", positive_integer)
    least_px: Mapping[int, int] = constant("a dictionary of sides in pixels by depth", _sizes)
    build: Signature = function("build", "depth, *, classes, size_px, norm, width")


@cache
def declared_network(name: str) -> NetworkDeclaration:
    """The declaration of a family of networks.

    Raises:
        UvlpError: an unknown name, or a field that is missing, invalid, misspelt or not a literal.
    """
    return of_source(NetworkDeclaration, plugins.find("networks", name))


def networks() -> tuple[str, ...]:
    """Values of `--network`, with a number for DEPTH."""
    return (*(f"{family}-DEPTH" for family in plugins.names("networks")), timm_networks.FORM)


def canonical(network: str) -> str:
    """The network's name in tables, e.g. ``resnet-ap-10``.

    Raises:
        UvlpError: no depth, or an unknown family; for ``timm:NAME`` see `timm_networks.canonical`.
    """
    if timm_networks.is_timm(network):
        return timm_networks.canonical(network)
    wanted = network.lower().replace("_", "-")
    if wanted in plugins.names("networks"):
        names = [f"{wanted}-{depth}" for depth in declared_network(wanted).least_px]
        raise UvlpError(
            "network without a depth", got=network, allowed=", ".join(names), fix=f"use e.g. {names[0]}"
        )
    family, depth = split_network(network.lower())
    family = family.replace("_", "-")
    if family not in plugins.names("networks"):
        raise unknown_name("network", network, networks())
    return f"{family}-{depth}"


def family(network: str) -> str | None:
    """The name of the file in `uvlp/networks` that builds a network; None for those of timm."""
    return None if timm_networks.is_timm(network) else split_network(network)[0]


def package(network: str) -> str:
    """The library that a network comes from, with its version; empty for those of UVLP and torchvision."""
    return timm_networks.package() if timm_networks.is_timm(network) else ""


def note(network: str, classes: int, size_px: int) -> str:
    """A sentence about a network of timm: its size and cost; empty for others.

    Raises:
        UvlpError: it cannot take images of this size.
    """
    return timm_networks.note(network, classes, size_px) if timm_networks.is_timm(network) else ""


def check_network(network: str, size_px: int) -> None:
    """Check that a network has this depth and accepts images of this side.

    Raises:
        UvlpError: an unknown depth, or images too small for it; states what is possible.
    """
    if timm_networks.is_timm(network):
        timm_networks.check(canonical(network), size_px)
        return
    name, depth = split_network(canonical(network))
    declaration = declared_network(name)
    network_sizes.check(declaration.origin.name, declaration.least_px, depth, size_px)
