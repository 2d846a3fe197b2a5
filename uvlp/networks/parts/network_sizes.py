"""Check depth and image size of a test network without building it.

Each network declares `LEAST_PX`: the smallest side of an image by depth.
"""

from __future__ import annotations

from collections.abc import Mapping

from uvlp.core.errors import UvlpError


def check(title: str, least: Mapping[int, int], depth: int, size_px: int) -> None:
    """Check that a network of `uvlp/networks` exists in a depth and takes images of a size.

    Args:
        title: name of its family, with ``-``.
        least: its `LEAST_PX`.

    Raises:
        UvlpError: no such depth, or images too small for it; the error names what would fit.
    """
    fitting = [each for each in least if least[each] <= size_px]
    # If the smallest size grows with depth, suggest smaller depths, also for a depth beyond the last.
    if fitting and len(fitting) < len(least) and depth not in fitting:
        allowed = f"{title}-{fitting[0]} to {title}-{fitting[-1]}"
        if depth in least:
            allowed += f", or images of at least {least[depth]} px"
        raise UvlpError(f"{title}-{depth} is too deep for images of {size_px} px", allowed=allowed)
    if depth not in least:
        raise UvlpError(f"{title} of unknown depth", got=depth, allowed=", ".join(map(str, least)))
    if size_px < least[depth]:
        raise UvlpError(
            f"image too small for {title}-{depth}",
            got=size_px,
            allowed=f"at least {least[depth]} px",
            fix=f"choose a small convnet, or --set evaluate.size_px={least[depth]}",
        )
