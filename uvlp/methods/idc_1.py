"""IDC-1: pixels whose gradients in trained networks are those of real images (evaluation.md 5).

Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022, without its
multi-formation (factor 1). A new network starts in every outer iteration and learns from real images; in each
inner iteration the images of every class take a step towards the gradients of a batch of real ones, under the
same augmentation. The variants `cifar` and `imagenet100` have the settings of the published code for CIFAR-10
and for 100 classes of ImageNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvlp.recipes.setting import MOST_EPOCHS, WIDEST, setting
from uvlp.recipes.variant import preset

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput
    from uvlp.methods.algorithms.optimising.idc import Condensation

REVISION = 1
TITLE = "IDC-1"
SMALL_PX = 64
CODE = "IDC repository, misc/reproduce.py"
ARGUMENTS = "IDC repository, argument.py"
VARIANTS = {
    "cifar": preset(
        "with the settings of its code for CIFAR-10",
        outer=2000,
        lr=5e-3,
        lr_px=32,
        distance="mse",
        train_images=2000,
        pretrain_epochs=0,
        mix_probability=0.5,
    ),
    "imagenet100": preset(
        "with the settings of its code for 100 classes of ImageNet",
        lr=1e-3,
        real_batch=128,
        pretrain_epochs=0,
        network_lr=0.1,
        network_decay=1e-4,
    ),
}
PROFILES = {
    "small": {"outer": 50, "inner": 50, "lr": 0.1, "pretrain_epochs": 2},
    "tiny": {"outer": 20, "inner": 20, "lr": 0.1, "pretrain_epochs": 2, "train_images": 256, "width": 32},
    "nano": {"outer": 2, "inner": 2, "real_batch": 8, "pretrain_epochs": 1, "train_images": 16, "width": 8},
}
"""The learning rate was measured on digits: fewer steps must go further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `idc-1`."""

    outer: int = setting(500, "outer iterations, each with a new network", CODE, least=1, most=MOST_EPOCHS)
    inner: int = setting(
        100, "steps of every class with one network, which is trained between them", ARGUMENTS, least=1
    )
    real_batch: int = setting(
        64, "real images per class and step, at most all; also the batch of the network", ARGUMENTS, least=1
    )
    synthetic_batch: int = setting(128, "most synthetic images of a class in one step", ARGUMENTS, least=1)
    lr: float = setting(
        3e-3,
        "learning rate of pixels in [0, 1] at IPC 10 and side lr_px; times IPC / 10 and (side / lr_px)^2",
        CODE,
        least=0,
    )
    lr_px: int = setting(224, "side for which the learning rate is stated", ARGUMENTS, least=1)
    momentum: float = setting(0.5, "momentum of the pixels", ARGUMENTS, least=0, most=1)
    distance: str = setting(
        "l1",
        "sum over the weights of absolute (`l1`) or squared (`mse`) differences of gradients",
        CODE,
        choices=("l1", "mse"),
    )
    network: str = setting("", "network, with depth; empty: ResNetAP-10, and up to 64 px ConvNet-3", CODE)
    width: int = setting(
        0, "channels of ConvNet, or of the first stage of a ResNet; 0: 128 or 64", least=0, most=WIDEST
    )
    pretrain_epochs: int = setting(
        10, "epochs on all real images before a network is used", CODE, least=0, most=MOST_EPOCHS
    )
    train_images: int = setting(
        500, "real images from which the network learns after each step, in whole batches", CODE, least=1
    )
    network_lr: float = setting(0.01, "learning rate of the network", ARGUMENTS, least=0)
    network_momentum: float = setting(0.9, "momentum of the network", ARGUMENTS, least=0, most=1)
    network_decay: float = setting(5e-4, "weight decay of the network", ARGUMENTS, least=0)
    mix_probability: float = setting(
        1.0, "probability of CutMix of a batch of the network", ARGUMENTS, least=0, most=1
    )


def network(settings: Settings, size_px: int) -> str:
    """The network: as published ResNetAP-10 for large and ConvNet-3 for small images."""
    return settings.network or ("convnet-3" if size_px <= SMALL_PX else "resnet-ap-10")


def passes(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """Real images pass forward and backward, synthetic ones also through the second derivative."""
    real = 3 * min(settings.real_batch, images / classes)
    synthetic = 9 * min(settings.synthetic_batch, ipc)  # the gradient of a gradient is about twice its cost
    inner = classes * (real + synthetic) + 3 * min(settings.train_images, images)
    outer = 3 * settings.pretrain_epochs * images + settings.inner * inner
    return {network(settings, size_px): settings.outer * outer}


def held(settings: Settings, *, ipc: int, classes: int, images: int, size_px: int) -> Mapping[str, float]:
    """The gradients of real images, then those of synthetic ones with their own gradients."""
    from uvlp.recipes.workload import SECOND_ORDER, TO_PIXELS

    real = TO_PIXELS * min(settings.real_batch, images)
    return {network(settings, size_px): max(real, SECOND_ORDER * min(settings.synthetic_batch, ipc))}


def optimise(inputs: MethodInput, settings: Settings, progress: Progress) -> Condensation:
    """The optimisation, which starts at the images of `random`."""
    from uvlp.methods.algorithms.optimising.idc import Condensation

    return Condensation(inputs, settings, network(settings, inputs.size_px), progress)
