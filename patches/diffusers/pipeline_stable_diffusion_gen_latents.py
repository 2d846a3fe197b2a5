"""GenLatents: VAE latents of images, clean and noised, as the published prototype scripts call it.

Written for UVLP on top of the stock pipeline of the pinned release. The published code of D4M and VLCP asks
its readers to install a pipeline of this name; `paper_tables/spec/methods.md` D.1 says what it does.
"""

import torch

from .pipeline_stable_diffusion_img2img import StableDiffusionImg2ImgPipeline, retrieve_latents


class StableDiffusionGenLatentsPipeline(StableDiffusionImg2ImgPipeline):
    """Encodes images and returns their latents twice: as they are, and at the first noise level."""

    @torch.no_grad()
    def __call__(
        self,
        prompt=None,
        image=None,
        strength=0.8,
        num_inference_steps=50,
        guidance_scale=7.5,
        negative_prompt=None,
        num_images_per_prompt=1,
        eta=0.0,
        generator=None,
        prompt_embeds=None,
        negative_prompt_embeds=None,
        output_type="pil",
        return_dict=True,
        callback=None,
        callback_steps=1,
        cross_attention_kwargs=None,
    ):
        """Return the pair (clean latents, noised latents), each [B, 4, h, w] and scaled as the UNet expects.

        Random numbers are drawn twice: for the posterior of the VAE, then for the noise. The prompts only say
        how many latents are wanted; they are not encoded, since nothing depends on what they say. Guidance,
        output type and callbacks have no effect.

        Args:
            prompt, prompt_embeds: one of them, for B images times ``num_images_per_prompt``.
            image: images in [0, 1], or a tensor [B, 4, h, w], which is taken as clean latents.
            strength: share of the schedule that sets the noise level of the second result.
            num_inference_steps: length of the schedule.
            generator: source of the random numbers; None: torch's own.

        Raises:
            ValueError: invalid prompts or strength, or a number of prompts that is no multiple of the images.
        """
        self.check_inputs(
            prompt, strength, callback_steps, negative_prompt, prompt_embeds, negative_prompt_embeds
        )
        prompts = [prompt] if isinstance(prompt, str) else prompt_embeds if prompt is None else prompt
        count = len(prompts) * num_images_per_prompt
        device = self._execution_device
        dtype = (self.unet if self.text_encoder is None else self.text_encoder).dtype
        images = self.image_processor.preprocess(image).to(device=device, dtype=dtype)

        self.scheduler.set_timesteps(num_inference_steps, device=device)
        timesteps, _ = self.get_timesteps(num_inference_steps, strength, device)
        clean = self._encoded(images, count, generator)
        # The stock method takes four channels as latents, draws the noise and adds it.
        noised = self.prepare_latents(clean, timesteps[:1].repeat(count), count, 1, dtype, device, generator)
        self.maybe_free_model_hooks()
        return clean, noised

    def _encoded(self, images, count, generator):
        """Return ``count`` scaled samples of the posterior of ``images``; latents are not encoded again."""
        if images.shape[1] == 4:
            return self._repeated(images, count)
        if isinstance(generator, list):
            parts = zip(self._repeated(images, count).split(1), generator, strict=True)
            latents = torch.cat([retrieve_latents(self.vae.encode(one), generator=own) for one, own in parts])
        else:
            latents = self._repeated(retrieve_latents(self.vae.encode(images), generator=generator), count)
        return self.vae.config.scaling_factor * latents

    @staticmethod
    def _repeated(given, count):
        """Return images or latents, repeated for ``count`` prompts as in the stock pipeline."""
        if count % len(given):
            raise ValueError(f"{count} prompts for {len(given)} images: not a multiple")
        return torch.cat([given] * (count // len(given)))
