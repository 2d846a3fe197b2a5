"""Golden data of the two pipelines: gen_latents, latents2img, latents2img_sequence."""

from __future__ import annotations

import numpy
import pytest
import torch

from tests.methods.algorithms.golden_cases import Case, golden
from tests.methods.algorithms.stub_pipeline import SCALING, StubAutoencoder, decoded, scheduler, stub_pipeline
from tests.tolerances import EXPONENTIAL, rounding
from uvlp.artifacts.features import Latents
from uvlp.core.errors import UvlpError
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.sampling.latents2img import latents2img
from uvlp.models.sampling.synthesis import PUBLISHED_SEED, derived_noise, published_noise

# numpy warns about the tensor conversion in diffusers' Euler and DPM-Solver schedulers.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NORMAL = rounding(2 * EXPONENTIAL + 4, largest=6.0)
"""Of normal numbers: a logarithm, a root, a cosine and its argument, two products; none is beyond six."""
MOMENTS = rounding(64 + 3 + 2 * EXPONENTIAL + 8, largest=6.0)
"""Of drawn latents: means of 64 pixels and of 3 channels, an exponential, normal numbers, sums and scales."""


def synthesis(case: Case, calls: int) -> float:
    """Of final latents: 20 roundings a call of stub UNet and scheduler, and the mean of the context once.

    They work on the prediction, which guidance takes up to its scale times the latents. Another timestep,
    noise or scale changes the first digits.
    """
    context = case["in.prompt_embeds"][0].size
    largest = case["in.guidance_scale"] * abs(case["out.final_latents"]).max()
    return rounding(20 * calls + context, largest=float(largest))


@golden("gen_latents")
def test_latents_are_those_of_the_reference(case: Case) -> None:
    """The moments of the streaming pass, and the latents sampled from them."""
    images = 2 * torch.from_numpy(case["in.images"]) - 1
    mean, deviation = (moment.numpy() for moment in Autoencoder(StubAutoencoder()).moments_of_pixels(images))
    generator = torch.Generator().manual_seed(case["in.seed"])

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        """Clean latents, and the forward noise that the reference draws after them and discards."""
        posterior = torch.randn(mean.shape, generator=generator).numpy()
        clean = Latents(mean, deviation, lambda row: posterior[row])[range(len(mean))]
        return torch.from_numpy(clean), torch.randn(mean.shape, generator=generator)

    clean, unused = call()
    numpy.testing.assert_allclose(clean, case["out.clean"], rtol=0, atol=MOMENTS * SCALING)
    schedule = scheduler("pndm")
    schedule.set_timesteps(50)
    first = schedule.timesteps[50 - int(50 * case["in.strength"])]
    noised = schedule.add_noise(clean, unused, first.repeat(len(clean)))
    numpy.testing.assert_allclose(noised, case["out.noised"], rtol=0, atol=MOMENTS)
    numpy.testing.assert_allclose(call()[0], case["out.clean_second_call"], rtol=0, atol=MOMENTS * SCALING)


@golden("latents2img")
def test_synthesis_is_that_of_the_reference(case: Case) -> None:
    latents = torch.from_numpy(case["in.latents"])
    seed = case["in.seed"]
    noise = None
    if case["in.is_init"]:
        generator = torch.Generator() if seed == -1 else torch.Generator().manual_seed(seed)
        noise = torch.randn(latents.shape, generator=generator)
        numpy.testing.assert_allclose(noise, case["out.noise"], rtol=0, atol=NORMAL)
        noise = torch.from_numpy(case["out.noise"])
    pipeline = stub_pipeline(case["in.scheduler"])
    final = latents2img(
        pipeline,
        latents,
        noise,
        torch.from_numpy(case["in.prompt_embeds"]),
        torch.from_numpy(case["in.negative_prompt_embeds"]),
        case["in.strength"],
        case["in.guidance_scale"],
        case["in.num_inference_steps"],
    )
    calls = pipeline.unet.calls
    assert [timestep for timestep, _ in calls] == case["out.unet_timesteps"].tolist()
    assert {batch for _, batch in calls} == {case["out.unet_batch"]}
    bound = synthesis(case, len(calls))
    numpy.testing.assert_allclose(final, case["out.final_latents"], rtol=0, atol=bound)
    numpy.testing.assert_allclose(decoded(final), case["out.image_np"], rtol=0, atol=bound / SCALING)


@golden("latents2img_sequence")
def test_a_batch_equals_single_prototypes(case: Case) -> None:
    assert case["in.initial_seed"] == PUBLISHED_SEED == torch.Generator().initial_seed()
    latents = torch.from_numpy(case["in.latents"])
    noise = published_noise(range(len(latents)), latents.shape[1:])
    numpy.testing.assert_allclose(noise, case["out.noise"], rtol=0, atol=NORMAL)
    negative = torch.from_numpy(case["in.negative_prompt_embeds"]).repeat(len(latents), 1, 1)
    pipeline = stub_pipeline("pndm")
    final = latents2img(
        pipeline,
        latents,
        torch.from_numpy(case["out.noise"]),
        torch.from_numpy(case["in.prompt_embeds"]),
        negative,
        case["in.strength"],
        case["in.guidance_scale"],
        case["in.num_inference_steps"],
    )
    bound = synthesis(case, len(pipeline.unet.calls))
    numpy.testing.assert_allclose(final, case["out.final_latents"], rtol=0, atol=bound)


def synthesised(name: str, noise: torch.Tensor, strength: float, steps: int = 50, given: bool = True):
    """Final latents and UNet calls, ours with given noise or the stock pipeline with a generator."""
    pipeline = stub_pipeline(name)
    pipeline.set_progress_bar_config(disable=True)
    draw = torch.Generator().manual_seed(1)
    latents = torch.randn(noise.shape, generator=draw)
    prompt, negative = torch.randn((2, len(noise), 7, 16), generator=draw)
    if given:
        final = latents2img(pipeline, latents, noise, prompt, negative, strength, 7.5, steps)
    else:
        final = pipeline(
            image=latents,
            prompt_embeds=prompt,
            negative_prompt_embeds=negative,
            strength=strength,
            guidance_scale=7.5,
            num_inference_steps=steps,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        ).images
    return final, pipeline.unet.calls


@pytest.mark.parametrize("name", ["pndm", "ddim", "euler", "dpm"])
def test_given_noise_gives_the_result_of_the_stock_pipeline(name: str) -> None:
    noise = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    computed, our_calls = synthesised(name, noise, 0.6)
    stock, stock_calls = synthesised(name, noise, 0.6, given=False)
    assert our_calls == stock_calls
    # As in `synthesis`, with guidance of 7.5.
    bound = rounding(20 * len(our_calls) + 7 * 16, largest=7.5 * stock.abs().max().item())
    torch.testing.assert_close(computed, stock, rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("name", "strength", "first", "calls"),
    [
        ("pndm", 0.75, 741, 38),
        ("pndm", 0.7, 701, 36),
        ("pndm", 0.5, 501, 26),
        ("pndm", 1.0, 981, 51),
        ("pndm", 0.02, 21, 2),
        ("pndm", 0.01, 1, 1),
        ("ddim", 0.75, 721, 37),
    ],
)
def test_timesteps_are_those_of_methods_md(name: str, strength: float, first: int, calls: int) -> None:
    _, seen = synthesised(name, torch.zeros(1, 4, 8, 8), strength)
    assert (seen[0][0], len(seen)) == (first, calls)


def test_a_strength_without_a_step_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        synthesised("ddim", torch.zeros(1, 4, 8, 8), 0.01)
    assert (caught.value.got, caught.value.allowed) == (0.5, "at least 1")


def test_noise_depends_on_the_slot_but_not_on_the_batch() -> None:
    shape = (4, 8, 8)
    all_slots = derived_noise(0, "n01", range(5), shape)
    assert torch.equal(all_slots[2:4], derived_noise(0, "n01", [2, 3], shape))
    for other in (derived_noise(1, "n01", [0], shape), derived_noise(0, "n02", [0], shape), all_slots[1:2]):
        assert not torch.equal(all_slots[:1], other)
    published = published_noise(range(5), shape)
    assert torch.equal(published[3:], published_noise([3, 4], shape))
    half = published_noise([4], shape, dtype=torch.float16)
    # Drawn in float32 and kept in float16: one rounding; another draw is another number.
    bound = rounding(1, torch.float16, largest=float(published[4:].abs().max()))
    numpy.testing.assert_allclose(half.float(), published[4:], rtol=0, atol=bound)
