"""Teachers for tests: initialised at random, with statistics of their own in batch-norm layers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from uvlp.artifacts import teachers
from uvlp.protocols.training import rded_networks, teacher


def small_teacher(
    folder: Path, *, classes: int = 3, size_px: int = 16, architecture: str = "conv3"
) -> dict[str, Path]:
    """Store a teacher; return the models of a method's input."""
    network = rded_networks.seeded(architecture, classes=classes, size_px=size_px, seed=5)
    generator = torch.Generator().manual_seed(6)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=generator))
            layer.running_var.copy_(0.5 + torch.rand(layer.num_features, generator=generator))
    folder.mkdir(exist_ok=True)
    teacher.save(network, folder)
    facts = teachers.Teacher(
        architecture=architecture,
        size_px=size_px,
        class_ids=tuple(f"c{index}" for index in range(classes)),
        source="a test",
        accuracy_pct=50.0,
        per_class_pct=(50.0,) * classes,
        validation_set="a test",
        validation_images=10,
    )
    teachers.write(folder, facts)
    return {"teacher": folder}
