"""CLIP features of a few images, as computed by stage `embed`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.models.embedder import Embedder


def image_features(embedder: Embedder, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return unit-length rows, float32 [N, D], for uint8 images [N, H, W, 3]."""
    prepared = torch.stack([embedder.preprocess(image) for image in images])
    return embedder.encode(prepared).cpu().numpy()
