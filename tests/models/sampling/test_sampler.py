from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.quantise import to_bytes
from uvlp.models.sampling.prompts import PromptEncoder
from uvlp.models.sampling.sampler import Sampler
from uvlp.recipes.schema import SynthesisSettings

SETTINGS = SynthesisSettings(strength=0.5, guidance=3.0, steps=6, scheduler="ddim")
PROMPTS = ["a bar one", "a bar two, thin strokes, light ink", "a bar", ""]
NAMES = [f"class a slot {slot}" for slot in range(4)]
SCHEDULER_NAMES = ["pndm", "ddim", "dpm++", "euler"]


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
        start[0][rows], start[1][rows], PROMPTS[rows], settings, long_prompts, NAMES[rows]
    )


@pytest.mark.parametrize("long_prompts", [False, True])
@pytest.mark.parametrize("scheduler", SCHEDULER_NAMES)
def test_images_do_not_depend_on_the_batch(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], scheduler: str, long_prompts: bool
) -> None:
    together = _draw(sampler, start, slice(0, 4), scheduler=scheduler, long_prompts=long_prompts)
    assert together.shape == (4, 32, 32, 3) and together.dtype == np.uint8
    for row in range(4):
        alone = _draw(sampler, start, slice(row, row + 1), scheduler=scheduler, long_prompts=long_prompts)
        assert np.abs(alone[0].astype(int) - together[row]).max() <= 1  # rounding between two levels


def test_equal_calls_give_equal_bytes(sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor]) -> None:
    first = _draw(sampler, start, slice(0, 4), scheduler="pndm")
    _draw(sampler, start, slice(0, 4), scheduler="dpm++")
    assert (first == _draw(sampler, start, slice(0, 4), scheduler="pndm")).all()


@pytest.mark.parametrize(
    "change", [{"strength": 1.0}, {"guidance": 9.0}, {"negative_prompt": "two"}, {"scheduler": "pndm"}]
)
def test_every_setting_affects_the_image(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], change: dict[str, object]
) -> None:
    rows = slice(0, 4)
    before, after = (sampler_latents(sampler, start, rows, **settings) for settings in ({}, change))
    assert not torch.equal(before, after)


def sampler_latents(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], rows: slice, **changes: Any
) -> torch.Tensor:
    """Return final latents, because images of models trained for two steps hardly differ after rounding."""
    settings = replace(SETTINGS, **changes)
    return sampler.final_latents(start[0][rows], start[1][rows], PROMPTS[rows], settings, False)


@pytest.mark.parametrize("scheduler", SCHEDULER_NAMES)
@pytest.mark.parametrize("strength", [0.0, 0.16])
def test_with_less_than_one_step_the_latents_are_decoded(
    models: Path, sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], scheduler: str, strength: float
) -> None:
    calls: list[int] = []
    hook = sampler._pipeline.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    found = _draw(sampler, start, slice(0, 4), scheduler=scheduler, strength=strength)
    hook.remove()
    assert not calls
    # Decoded in other batches: a value between two levels may be rounded to either.
    decoded = to_bytes(Autoencoder.load(models / "diffuser", "vae").pixels(start[0]))
    assert np.abs(found.astype(int) - decoded).max() <= 1
    assert np.abs(found.astype(int) - decoded[::-1]).max() > 1, "another image differs more"


def test_results_that_are_not_finite_are_refused_by_slot(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor]
) -> None:
    broken = start[0].clone()
    broken[[1, 3]] = float("nan")
    with pytest.raises(UvlpError) as caught:
        _draw(sampler, (broken, start[1]), slice(0, 4))
    assert caught.value.what.endswith(": class a slot 1, class a slot 3")
    assert caught.value.got == "float32"


def test_an_unknown_scheduler_is_refused(sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor]) -> None:
    with pytest.raises(UvlpError) as caught:
        _draw(sampler, start, slice(0, 4), scheduler="dim")
    assert (caught.value.what, caught.value.got) == ("unknown scheduler", "dim")
    assert caught.value.allowed == "ddim, dpm++, euler, pndm"


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        Sampler.load(tmp_path)
    assert caught.value.got == str(tmp_path)


def test_a_truncated_file_is_refused(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "diffuser", tmp_path / "sd")
    weights = tmp_path / "sd" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UvlpError) as caught:
        Sampler.load(tmp_path / "sd")
    assert caught.value.got == str(tmp_path / "sd")


class Count:
    """Records the batch size of every call of the UNet."""

    def __init__(self, sampler: Sampler) -> None:
        self.samples: list[int] = []
        sampler._pipeline.unet.register_forward_pre_hook(self)

    def __call__(self, _: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        self.samples.append(len(args[0]))


@pytest.mark.parametrize(("guidance", "samples"), [(1.0, 4), (0.5, 4), (1.1, 8)])
@pytest.mark.parametrize("long_prompts", [False, True])
def test_guidance_up_to_one_uses_only_the_prompt(
    models: Path,
    start: tuple[torch.Tensor, torch.Tensor],
    guidance: float,
    samples: int,
    long_prompts: bool,
) -> None:
    sampler = Sampler.load(models / "diffuser")
    count = Count(sampler)
    settings = replace(SETTINGS, guidance=guidance)
    with_one = sampler.final_latents(*start, PROMPTS, settings, long_prompts)
    assert set(count.samples) == {samples}
    if not long_prompts:  # VLCP pads a short prompt to the length of the negative one, guided or not
        other = replace(settings, negative_prompt="two")
        with_other = sampler.final_latents(*start, PROMPTS, other, long_prompts)
        assert torch.equal(with_one, with_other) == (guidance <= 1)


def test_padding_of_shorter_prompts_is_masked(
    sampler: Sampler, start: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, guidance=9.0)
    prompts = ["one " * 60, "a bar two, thin strokes"]
    lengths = [sampler.length(prompt, settings, True) for prompt in prompts]
    assert lengths[0] > 40 > lengths[1]  # two blocks, and one that is not full

    def final(rows: list[int]) -> torch.Tensor:
        given = [prompts[row] for row in rows]
        return sampler.final_latents(start[0][rows], start[1][rows], given, settings, True)

    together, alone = final([0, 1]), torch.cat([final([0]), final([1])])
    # Three steps, on predictions that guidance scales up to nine times the latents.
    unet = sampler._pipeline.unet
    bound = rounding(3 * depth(unet), largest=settings.guidance * alone.abs().max().item())
    assert (together - alone).abs().max() < bound
    monkeypatch.setattr(PromptEncoder, "_mask", lambda *_: None)
    assert (final([0, 1])[1] - alone[1]).abs().max() > bound


def test_images_that_overflow_in_half_precision_are_decoded_again(models: Path) -> None:
    sampler = Sampler.load(models / "diffuser", dtype=torch.bfloat16)
    latents = torch.randn((3, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    plain = replace(SETTINGS, strength=0.0)
    expected = sampler.synthesise(latents, latents, PROMPTS[:3], plain, False, NAMES[:3])
    assert sampler.decoded_again == 0
    exact = Autoencoder(deepcopy(sampler._pipeline.vae).float()).pixels(latents[1:2])

    def overflow(_: torch.nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        row = (args[0] == row_of_second).flatten(1).all(1)[:, None, None, None]
        return torch.where(row, torch.nan, output) if output.dtype != torch.float32 else output

    convolution = sampler._pipeline.vae.post_quant_conv
    row_of_second = latents[1:2].bfloat16() / sampler._autoencoder.scaling_factor
    convolution.register_forward_hook(overflow)
    found = sampler.synthesise(latents, latents, PROMPTS[:3], plain, False, NAMES[:3])
    assert sampler.decoded_again == 1 and convolution.weight.dtype == torch.bfloat16
    assert (found[[0, 2]] == expected[[0, 2]]).all()
    # One level: a value between two may be rounded to either. bfloat16 resolves one level in 256 at best.
    assert np.abs(found[1].astype(int) - to_bytes(exact)[0]).max() <= 1
    assert np.abs(expected[1].astype(int) - to_bytes(exact)[0]).max() > 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("long_prompts", [False, True])
def test_images_of_a_gpu_in_half_precision_agree_with_a_cpu(
    models: Path, start: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype, long_prompts: bool
) -> None:
    expected = Sampler.load(models / "diffuser").synthesise(*start, PROMPTS, SETTINGS, long_prompts, NAMES)
    sampler = Sampler.load(models / "diffuser", "cuda", dtype)
    assert 1 <= sampler.batch(4, (4, 16, 16)) <= 4
    found = sampler.synthesise(*start, PROMPTS, SETTINGS, long_prompts, NAMES)
    assert np.abs(found.astype(int) - expected).mean() < 4
