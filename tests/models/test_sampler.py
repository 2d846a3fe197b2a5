from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.sampler import Sampler
from uvlp.recipes.schema import SynthesisSettings

SETTINGS = SynthesisSettings(strength=0.5, guidance=3.0, steps=6, scheduler="ddim")
PROMPTS = ["a bar one", "a bar two, thin strokes, light ink", "a bar", ""]


@pytest.fixture(scope="module")
def sampler(models: Path) -> Sampler:
    return Sampler.load(models / "diffuser")


@pytest.fixture(scope="module")
def start() -> tuple[torch.Tensor, torch.Tensor]:
    latents, noise = torch.randn((2, 4, 4, 16, 16), generator=torch.Generator().manual_seed(3))
    return latents, noise


def _draw(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], rows: slice, **changes: Any
) -> np.ndarray:
    long_prompts = bool(changes.pop("long_prompts", False))
    settings = replace(SETTINGS, **changes)
    return sampler.synthesise(
        start[0][rows], start[1][rows], PROMPTS[rows], settings, long_prompts, "class a"
    )


@pytest.mark.parametrize("long_prompts", [False, True])
@pytest.mark.parametrize("scheduler", ["pndm", "ddim", "dpm++"])
def test_batches_do_not_matter(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], scheduler: str, long_prompts: bool
) -> None:
    together = _draw(sampler, start, slice(0, 4), scheduler=scheduler, long_prompts=long_prompts)
    assert together.shape == (4, 32, 32, 3) and together.dtype == np.uint8
    for row in range(4):
        alone = _draw(sampler, start, slice(row, row + 1), scheduler=scheduler, long_prompts=long_prompts)
        assert np.abs(alone[0].astype(int) - together[row]).max() <= 1  # 1e-5 may turn one rounding


def test_the_same_call_gives_the_same_bytes(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor]
) -> None:
    first = _draw(sampler, start, slice(0, 4), scheduler="pndm")
    _draw(sampler, start, slice(0, 4), scheduler="dpm++")
    assert (first == _draw(sampler, start, slice(0, 4), scheduler="pndm")).all()


@pytest.mark.parametrize(
    "change", [{"strength": 1.0}, {"guidance": 9.0}, {"negative_prompt": "two"}, {"scheduler": "pndm"}]
)
def test_every_setting_reaches_the_image(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], change: dict[str, object]
) -> None:
    rows = slice(0, 4)
    before, after = (sampler_latents(sampler, start, rows, **found) for found in ({}, change))
    assert not torch.equal(before, after)


def sampler_latents(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], rows: slice, **changes: Any
) -> torch.Tensor:
    """Final latents: the images of models trained for two steps hardly differ after rounding."""
    settings = replace(SETTINGS, **changes)
    return sampler.final_latents(start[0][rows], start[1][rows], PROMPTS[rows], settings, False)


@pytest.mark.parametrize("scheduler", ["pndm", "ddim", "dpm++"])
@pytest.mark.parametrize("strength", [0.0, 0.16])
def test_less_than_one_step_is_plain_decoding(
    models: Path, sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], scheduler: str, strength: float
) -> None:
    found = _draw(sampler, start, slice(0, 4), scheduler=scheduler, strength=strength)
    assert (found == Autoencoder.load(models / "diffuser", "vae").decode(start[0])).all()


def test_a_value_that_is_not_a_number_is_named(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with pytest.raises(UvlpError, match="not a number: class a"):
        _draw(sampler, (start[0] * float("nan"), start[1]), slice(0, 4))


def test_an_unknown_scheduler_is_named(sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor]) -> None:
    with pytest.raises(UvlpError, match=r"unknown scheduler: got 'dim'; allowed: ddim, dpm\+\+, pndm"):
        _draw(sampler, start, slice(0, 4), scheduler="dim")
