"""A network by name: its weights depend on the seed, and a wrong `build` is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.other_packages import importable, install
from uvlp.core.errors import UvlpError
from uvlp.networks.parts.seeded import seeded

HEAD = "import torch\nfrom torch import nn\nREVISION, LEAST_PX = 1, {1: 1}\n"


def weights(seed: int) -> list[torch.Tensor]:
    return list(seeded("convnet-2", classes=3, size_px=8, width=4, seed=seed).parameters())


def test_weights_depend_on_the_seed_and_the_global_generator_is_restored() -> None:
    before = torch.get_rng_state()
    first, again, other = weights(0), weights(0), weights(1)
    assert all(map(torch.equal, first, again)) and not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_built_network_is_in_training_mode_with_initial_statistics() -> None:
    network = seeded("convnet-2", classes=3, size_px=8, norm="batch", width=4, seed=0)
    assert network.training
    counts = [value for name, value in network.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and not any(int(count) for count in counts)


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ("return 3", "int"),
        ("return nn.Flatten()", "Tensor float32 [2, 48]"),
        ("return nn.Sequential(nn.Flatten(), nn.Linear(7, classes))", "RuntimeError: "),
        (
            "network = nn.Sequential(nn.Flatten(), nn.Linear(48, classes)); "
            "nn.init.constant_(network[1].bias, float('inf')); return network",
            "logits that are not finite",
        ),
    ],
)
def test_a_build_that_returns_no_classifier_is_refused(tmp_path: Path, body: str, got: str) -> None:
    name = f"n{abs(hash(body))}"
    text = f"{HEAD}def build(depth, *, classes, size_px, norm, width):\n    {body}\n"
    install(tmp_path, name, {f"{name}.py": text}, {"networks": {name: name}})
    with importable(tmp_path), pytest.raises(UvlpError) as caught:
        seeded(f"{name}-1", classes=5, size_px=4, seed=0)
    assert caught.value.what.startswith(f"{name}.py ({name} 1.0): build must return ")
    assert str(caught.value.got).startswith(got)
