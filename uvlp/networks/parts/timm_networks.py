"""Networks of the library timm, by name: ``timm:resnet18``; always untrained, with the dataset's classes.

timm imports torch, which takes seconds, so it is imported inside functions: only if the user names such a
network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from uvlp.core.errors import UvlpError, unknown_name

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm:"
FORM = f"{PREFIX}NAME"
ELSEWHERE = (":", "/")
"""Characters of names that timm would download or read from a folder: ``hf-hub:``, ``local-dir:``."""
PROBED = 2
"""Images that a network is tried on; batch normalisation refuses one with a 1x1 map."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters, and multiply-adds of one image, of a network at the size used; the size it is made for."""

    parameters: int
    multiply_adds: int
    native_px: int


def is_timm(network: str) -> bool:
    """Return whether a network is named with the prefix."""
    return network.lower().startswith(PREFIX)


def package() -> str:
    """Return the library with its version, as part of keys."""
    return f"timm {version('timm')}"


@cache
def canonical(network: str) -> str:
    """Return the network's name in tables.

    Raises:
        UvlpError: it names weights, or is no network of timm.
    """
    name = network[len(PREFIX) :]
    if any(mark in name for mark in ELSEWHERE):
        what = "a network of timm that is read from elsewhere: test networks are untrained"
        raise UvlpError(what, got=network, allowed=f"{FORM}, a name of timm.list_models()")
    from timm.models import is_model, list_models

    base, dot, _ = name.lower().partition(".")
    if is_model(base) and dot:
        what = "a network of timm with trained weights: test networks are untrained"
        raise UvlpError(what, got=network, allowed=f"{PREFIX}{base}")
    if not is_model(base):
        near = unknown_name("network of timm", network, [f"{PREFIX}{each}" for each in list_models()])
        allowed = f"{FORM}, one of {len(list_models())} names of timm.list_models()"
        raise UvlpError(near.what, got=network, allowed=allowed, fix=near.fix)
    return f"{PREFIX}{base}"


def build(network: str, *, classes: int, size_px: int) -> nn.Module:
    """Build an untrained network, initialised from torch's global generator.

    A network of a fixed size, such as a vision transformer, is made for ``size_px`` if it can be.

    Args:
        network: its canonical name.
        classes: number of outputs.
        size_px: side of the input images.

    Raises:
        UvlpError: it has one size only, and ``size_px`` is another.
    """
    import timm

    name = network[len(PREFIX) :]
    options: dict[str, Any] = {}
    if _configuration(network).fixed_input_size and native_px(network) != size_px:
        options["img_size"] = size_px
    try:
        built: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **options)
    except (TypeError, AssertionError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise _unfit(network, size_px, error) from error
    return built


@cache
def check(network: str, size_px: int) -> None:
    """Refuse images that a network cannot take.

    Raises:
        UvlpError: states the size that it is made for.
    """
    counts(network, PROBED, size_px)


@cache
def counts(network: str, classes: int, size_px: int) -> Counts:
    """Count parameters and multiply-adds without any arithmetic, on torch's device ``meta``.

    Raises:
        UvlpError: it cannot take images of this size.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        built, images = (
            build(network, classes=classes, size_px=size_px),
            torch.empty(PROBED, 3, size_px, size_px),
        )
        try:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                logits = built.train()(images)
        except Exception as error:  # each architecture has its own reasons
            raise _unfit(network, size_px, error) from error
    if getattr(logits, "shape", None) != (PROBED, classes):
        raise UvlpError(
            f"{network} returns no logits", allowed=f"[N, {classes}]", fix="choose another network"
        )
    parameters = sum(parameter.numel() for parameter in built.parameters())
    return Counts(parameters, counter.get_total_flops() // 2 // PROBED, native_px(network))


def native_px(network: str) -> int:
    """Return the side of the images that a network is made for."""
    size: tuple[int, int, int] = _configuration(network).input_size
    return size[1]


def note(network: str, classes: int, size_px: int) -> str:
    """Return a sentence about a network for tables, and about its size if the images are smaller.

    Raises:
        UvlpError: it cannot take images of this size.
    """
    found = counts(network, classes, size_px)
    text = (
        f"{network} ({package()}, untrained): {found.parameters / 1e6:.2f} M parameters, "
        f"{found.multiply_adds / 1e9:.4f} G multiply-adds at {size_px} px; its own normalisation and width"
    )
    if size_px < found.native_px:
        text += f"; it is made for {found.native_px} px, and smaller images leave its last maps few pixels"
    return text


def _configuration(network: str) -> Any:
    from timm.models import get_pretrained_cfg

    found = get_pretrained_cfg(network[len(PREFIX) :])
    if found is None:
        raise UvlpError(f"timm does not state the size of {network}", fix="choose another network")
    return found


def _unfit(network: str, size_px: int, error: Exception) -> UvlpError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return UvlpError(
        f"{network} cannot take images of {size_px} px ({reason})",
        got=size_px,
        allowed=f"{native_px(network)} px, which it is made for",
        fix=f"choose another network, or set size_px={native_px(network)} of the protocol",
    )
