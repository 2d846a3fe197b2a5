"""DM: pixels whose features under random networks have the mean of real ones (evaluation.md 5).

Zhao & Bilen, Dataset Condensation with Distribution Matching, WACV 2023. Every iteration draws a new network;
for each class a batch of real images and the synthetic ones, under the same augmentation, give two mean
features, whose squared distance is the loss of the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.setting import WIDEST, setting

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput
    from uvlp.methods.algorithms.optimising.distribution_matching import DistributionMatching

REVISION = 1
TITLE = "DM"
PROFILES = {
    "small": {"iterations": 2000},
    "tiny": {"iterations": 1000, "real_batch": 64, "width": 32},
    "nano": {"iterations": 2, "real_batch": 8, "width": 8},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `dm`."""

    iterations: int = setting(
        20_001, "updates of the pixels, each with a new random network", "DM repository", least=1
    )
    real_batch: int = setting(
        256, "real images per class and iteration, at most all of the class", "evaluation.md 5", least=1
    )
    lr: float = setting(1.0, "learning rate of SGD on the normalised pixels", "evaluation.md 5", least=0)
    momentum: float = setting(0.5, "momentum of SGD", "evaluation.md 5", least=0, most=1)
    network: str = setting(
        "", "random network, with depth; empty: a ConvNet of the usual depth at the image size", "D-66"
    )
    width: int = setting(
        0, "channels of ConvNet, or of the first stage of a ResNet; 0: 128 or 64", least=0, most=WIDEST
    )


def network(settings: Settings, size_px: int) -> str:
    """The random network: ConvNet-3 up to 32 px, then a block more for each doubling of the side."""
    from uvlp.methods.algorithms.optimising.usual_network import usual_network

    return settings.network or usual_network(size_px)


def passes(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """Real images pass forward, synthetic ones forward and backward."""
    real = min(settings.real_batch, images / classes)
    return {network(settings, size_px): settings.iterations * classes * (real + 3 * ipc)}


def held(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """A group of classes shares a pass: real images forward, then synthetic ones forward and backward."""
    from uvlp.recipes.workload import FORWARD, PIXELS_PER_PASS, TO_PIXELS

    real = min(settings.real_batch, images / classes)
    group = min(classes, max(1, PIXELS_PER_PASS // int((settings.real_batch + ipc) * size_px**2)))
    forward = min(group * real, max(1, PIXELS_PER_PASS // size_px**2))
    return {network(settings, size_px): max(FORWARD * forward, TO_PIXELS * group * ipc)}


def optimise(inputs: MethodInput, settings: Settings, progress: Progress) -> DistributionMatching:
    """The optimisation, which starts at the images of `random`."""
    from uvlp.methods.algorithms.optimising.distribution_matching import DistributionMatching

    return DistributionMatching(inputs, settings, network(settings, inputs.size_px), progress)
