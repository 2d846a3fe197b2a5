"""Latents2Img: img2img that starts from given latents, as the published synthesis scripts call it.

Written for UVLP on top of the stock pipeline of the pinned release. The published code of D4M and VLCP asks
its readers to install a pipeline of this name; `paper_tables/spec/methods.md` D.2 says what it does.
"""

from .pipeline_stable_diffusion_img2img import StableDiffusionImg2ImgPipeline


class StableDiffusionLatents2ImgPipeline(StableDiffusionImg2ImgPipeline):
    """The stock img2img pipeline on latents instead of images."""

    _is_init = True

    def __call__(
        self,
        prompt=None,
        image=None,
        latents=None,
        is_init=True,
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
        """Return what the stock pipeline returns for ``latents`` [B, 4, h, w], scaled as the UNet expects.

        Args:
            image: accepted and ignored.
            is_init: the latents are clean, and noise of the first timestep is added; False: they are used as
                they are, so that the caller must have noised them to that timestep.

        The other arguments are those of the stock pipeline.

        Raises:
            ValueError: no latents, or as the stock pipeline.
        """
        if latents is None:
            raise ValueError("`latents` are needed: a tensor [B, 4, h, w]")
        self._is_init = is_init
        old_style = {} if callback is None else {"callback": callback, "callback_steps": callback_steps}
        return super().__call__(
            prompt=prompt,
            image=latents,
            strength=strength,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            num_images_per_prompt=num_images_per_prompt,
            eta=eta,
            generator=generator,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            output_type=output_type,
            return_dict=return_dict,
            cross_attention_kwargs=cross_attention_kwargs,
            **old_style,
        )

    def prepare_latents(
        self, image, timestep, batch_size, num_images_per_prompt, dtype, device, generator=None
    ):
        """Return the latents to start from; ``image`` are the given ones."""
        if self._is_init:
            return super().prepare_latents(
                image, timestep, batch_size, num_images_per_prompt, dtype, device, generator
            )
        return image.to(device=device, dtype=dtype)
