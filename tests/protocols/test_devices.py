"""Epochs on the meta device: detect operations that a GPU would refuse or wait for, without a GPU.

Every operation of an epoch, including the backward pass, is checked: its tensors are on one device, copies
to the device do not block, and nothing is copied back (torch refuses that for the device "meta").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy
import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.protocols.stripes import CLASSES, stripes
from uvlp.core.plugins import load
from uvlp.protocols.training import minimax_training, rded_networks, rded_rules, rded_training
from uvlp.protocols.training.images import Images
from uvlp.recipes.evaluation import EvaluateSettings, RdedSettings

COPIES = ("aten::_to_copy", "aten::copy_")
WITHOUT_META = ("aten::_fused_sgd_",)  # without a kernel for this device


class OneDevice(TorchDispatchMode):
    """Fails if an operation has tensors on two devices, or a copy blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function._schema.name
        self.names.append(name)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.ndim or tensor.device.type != "cpu"}
        if name in COPIES:
            target = kwargs.get("device") or args[0].device
            crosses = target.type != tensors[-1].device.type
            assert not crosses or kwargs.get("non_blocking") or args[2:], f"{name} blocks"
        else:
            assert len(devices) <= 1, f"{name} on {devices}"
        return None if name in WITHOUT_META else function(*args, **kwargs)


def mixed_sizes() -> Images:
    """Return images of two shapes."""
    small, large = stripes(9, 0, 32), stripes(11, 1, 48)
    return Images(
        pixels=[*small.pixels, *large.pixels], labels=numpy.concatenate((small.labels, large.labels))
    )


@pytest.mark.parametrize("network", ["convnet-3", "resnet-10", "resnet-ap-10"])
def test_a_minimax_epoch_stays_on_its_device(network: str) -> None:
    family, _, depth = network.rpartition("-")
    model = load("networks", family).build(int(depth), classes=CLASSES, size_px=32, width=8).to("meta")
    settings = EvaluateSettings(size_px=32, batch=8)
    trainer = minimax_training._MinimaxTrainer(model, mixed_sizes(), CLASSES, settings, 0, "meta")
    with OneDevice() as operations:
        losses = trainer.epoch(1, 10)
    assert losses.shape == (3,) and losses.device.type == "meta"
    assert operations.names.count("aten::_fused_sgd_") == 3


@pytest.mark.parametrize("mix", ["cutmix", "mixup"])
@pytest.mark.parametrize(("network", "size_px"), [("conv3", 32), ("resnet18_modified", 32), ("alexnet", 64)])
def test_an_rded_epoch_stays_on_its_device(network: str, size_px: int, mix: str) -> None:
    student, teacher = (
        rded_networks.seeded(network, classes=CLASSES, size_px=size_px, seed=seed).to("meta")
        for seed in (0, 1)
    )
    teacher.eval().requires_grad_(False)
    settings = RdedSettings(size_px=size_px, factor=2, mix=mix, batch=8)
    settings = replace(settings, optimiser="sgd" if network == "alexnet" else "adamw")
    rules = rded_rules.rules(settings, network, network, CLASSES, 10)
    trainer = rded_training._RdedTrainer(student, teacher, mixed_sizes(), rules, settings, 0, "meta")
    with OneDevice() as operations:
        losses = trainer.epoch(1)
    assert losses.shape == (3,) and losses.device.type == "meta"
    assert sum("fused" in name for name in operations.names) == 2 * 3
