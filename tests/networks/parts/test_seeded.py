"""A network by its name: its weights follow from the seed, and what builds it is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.other_packages import found, install
from uvlp.core.errors import UvlpError
from uvlp.networks.parts.seeded import seeded

HEAD = "import torch\nfrom torch import nn\nREVISION, LEAST_PX = 1, {1: 1}\n"


def weights(seed: int) -> list[torch.Tensor]:
    return list(seeded("convnet-2", classes=3, size_px=8, width=4, seed=seed).parameters())


def test_weights_follow_from_the_seed_and_the_global_stream_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = weights(0), weights(0), weights(1)
    assert all(map(torch.equal, first, again)) and not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_left_in_training_mode_with_untouched_statistics() -> None:
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
            "made = nn.Sequential(nn.Flatten(), nn.Linear(48, classes)); "
            "nn.init.constant_(made[1].bias, float('inf')); return made",
            "a number that is none",
        ),
    ],
)
def test_what_builds_no_classifier_is_named(tmp_path: Path, body: str, got: str) -> None:
    name = f"n{abs(hash(body))}"
    text = f"{HEAD}def build(depth, *, classes, size_px, norm, width):\n    {body}\n"
    install(tmp_path, name, {f"{name}.py": text}, {"networks": {name: name}})
    with found(tmp_path), pytest.raises(UvlpError) as refused:
        seeded(f"{name}-1", classes=5, size_px=4, seed=0)
    assert refused.value.what.startswith(f"{name}.py ({name} 1.0): build must return ")
    assert str(refused.value.got).startswith(got)
