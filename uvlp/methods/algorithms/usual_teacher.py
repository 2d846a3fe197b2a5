"""The teacher of a method that reads one."""

from __future__ import annotations

from uvlp.methods.algorithms.optimising.usual_network import usual_network

RESNET_PX = 224


def teacher_of(chosen: str, size_px: int) -> str:
    """Return the published name of a teacher's architecture.

    Args:
        chosen: architecture; empty: the smaller of RDED's published observers at this size (evaluation.md
            3.2): conv3 up to 32 px, conv4 at 64, conv5 at 128, resnet18 from 224 on.
        size_px: side of the images.

    Raises:
        UvlpError: no such architecture.
    """
    from uvlp.protocols.training import rded_networks

    usual = "resnet18" if size_px >= RESNET_PX else usual_network(size_px)
    return rded_networks.canonical(chosen or usual)
