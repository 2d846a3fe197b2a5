"""The calls of the published scripts on the stub networks of the golden data, as `uvlp patched` runs them.

Its argument is the file for the results: arrays named `<family> <case>/<what>`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from diffusers import StableDiffusionGenLatentsPipeline, StableDiffusionLatents2ImgPipeline
from diffusers.configuration_utils import FrozenDict
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from safetensors.torch import save_file

from tests.methods.algorithms.golden_cases import Case, cases
from tests.methods.algorithms.stub_pipeline import (
    SCALING,
    StubAutoencoder,
    StubUNet,
    scheduler,
    stub_pipeline,
)


class Autoencoder(StubAutoencoder):
    """The stub encoder with a posterior to sample from, as the library's encoders have it."""

    config = FrozenDict(scaling_factor=SCALING, block_out_channels=(1,) * 4)

    def encode(self, images):
        answer = super().encode(images)
        answer.latent_dist = DiagonalGaussianDistribution(answer.latent_dist.parameters)
        return answer


def encoded(case: Case) -> Iterator[tuple[str, torch.Tensor]]:
    """What the prototype scripts do with a batch: seeds are set once, and no generator is given."""
    pipeline = StableDiffusionGenLatentsPipeline(
        vae=Autoencoder(),
        text_encoder=None,
        tokenizer=None,
        unet=StubUNet(),
        scheduler=scheduler("pndm"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    images = torch.from_numpy(case["in.images"])
    prompts = ["n01440764"] * len(images)
    torch.manual_seed(case["in.seed"])
    clean, noised = pipeline(prompt=prompts, image=images, strength=case["in.strength"], guidance_scale=8)
    again, _ = pipeline(prompt=prompts, image=images, strength=case["in.strength"], guidance_scale=8)
    yield from (("clean", clean), ("noised", noised), ("clean_second_call", again))


def synthesised(case: Case) -> Iterator[tuple[str, torch.Tensor]]:
    """What the synthesis scripts do with prototypes, with `is_init` and, from the noised ones, without it."""
    stock = stub_pipeline(case["in.scheduler"])
    pipeline = StableDiffusionLatents2ImgPipeline(**stock.components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    seed = case["in.seed"]
    for name, start, is_init in (("init", "in.latents", True), ("no_init", "out.noised", False)):
        stock.unet.calls.clear()
        answer = pipeline(
            prompt_embeds=torch.from_numpy(case["in.prompt_embeds"]),
            negative_prompt_embeds=torch.from_numpy(case["in.negative_prompt_embeds"]),
            latents=torch.from_numpy(case[start]),
            is_init=is_init,
            strength=case["in.strength"],
            guidance_scale=case["in.guidance_scale"],
            num_inference_steps=case["in.num_inference_steps"],
            generator=torch.Generator() if seed == -1 else torch.Generator().manual_seed(seed),
            output_type="latent",
        )
        yield name, answer.images
        yield f"{name}_calls", torch.tensor(stock.unet.calls)


def main() -> None:
    results = {
        f"{case.name}/{name}": values.contiguous()
        for family, run in (("gen_latents", encoded), ("latents2img", synthesised))
        for case in cases(family)
        for name, values in run(case)
    }
    save_file(results, sys.argv[1])


if __name__ == "__main__":
    main()
