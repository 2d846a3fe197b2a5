"""What a file of `uvlp/networks` declares: a family of test networks, and the names of its members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from inspect import Signature
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import unknown_name
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, function, of_source, whole
from uvlp.networks.parts import network_sizes
from uvlp.networks.parts.names import split_network


def _sizes(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(whole, [*value, *value.values()]))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDeclaration:
    """A family of networks; its source is read, so that who plans a run need not import torch.

    Attributes:
        origin: where it comes from.
        revision: raised when it computes otherwise.
        least_px: by depth, the smallest side of an image; written out in the file.
        build: ``build(depth, *, classes, size_px, norm, width)``: an `nn.Module` from normalised images
            [N,3,size_px,size_px] to logits [N,classes], with PyTorch's initialisation from the global stream.
            norm: "instance" or "batch"; width: channels, 0 for its own.
    """

    origin: Origin
    revision: int = constant("a whole number of 1 or more", whole)
    least_px: Mapping[int, int] = constant("a dictionary of sides in pixels by depth", _sizes)
    build: Signature = function("build", "depth, *, classes, size_px, norm, width")


@cache
def declared_network(name: str) -> NetworkDeclaration:
    """The declaration of a family of networks.

    Raises:
        UvlpError: there is none of that name, or a field is missing, wrong, misspelt, or no literal.
    """
    return of_source(NetworkDeclaration, plugins.find("networks", name))


def networks() -> tuple[str, ...]:
    """What `--network` may say, a number in the place of DEPTH."""
    return tuple(f"{family}-DEPTH" for family in plugins.names("networks"))


def canonical(network: str) -> str:
    """The network's name as it stands in tables, e.g. ``resnet-ap-10``.

    Raises:
        UvlpError: no depth, or an unknown family.
    """
    family, depth = split_network(network.lower())
    family = family.replace("_", "-")
    if family not in plugins.names("networks"):
        raise unknown_name("network", network, networks())
    return f"{family}-{depth}"


def family(network: str) -> str | None:
    """The file in `uvlp/networks` that builds a network."""
    return split_network(network)[0]


def check_network(network: str, size_px: int) -> None:
    """Compare a network with the side of its images.

    Raises:
        UvlpError: no such depth, or images too small for it; what would fit is named.
    """
    name, depth = split_network(canonical(network))
    declared = declared_network(name)
    network_sizes.check(declared.origin.name, declared.least_px, depth, size_px)
