"""Does a test network exist in a depth, and are images large enough for it? Told without building one.

A network says so itself in `LEAST_PX`: by depth the smallest side of an image.
"""

from __future__ import annotations

from collections.abc import Mapping

from uvlp.core.errors import UvlpError


def check(title: str, least: Mapping[int, int], depth: int, size_px: int) -> None:
    """Compare a network of `uvlp/networks` with the side of its images.

    Args:
        title: name of its family, with ``-``.
        least: its `LEAST_PX`.

    Raises:
        UvlpError: no such depth, or images too small for it; what would fit is named.
    """
    fitting = [each for each in least if least[each] <= size_px]
    # Where sizes depend on depths, a smaller one helps; of a depth beyond all, no image is large enough.
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
            allowed=f"{least[depth]} px and more",
            fix=f"choose a small convnet, or --set evaluate.size_px={least[depth]}",
        )
