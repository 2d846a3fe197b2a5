"""The network of the dataset-distillation literature at an image size."""

import math

LEAST_DEPTH = 3


def usual_network(size_px: int) -> str:
    """Return a ConvNet that leaves maps of 4 px, with at least three blocks.

    Three blocks at 32 px, four at 64, five at 128, six at 224 and 256 (evaluation.md 1.1, 3.2).
    """
    return f"convnet-{max(LEAST_DEPTH, round(math.log2(size_px)) - 2)}"
