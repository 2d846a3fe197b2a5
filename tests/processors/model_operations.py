"""Schedulers and tiny networks of diffusers, transformers, open_clip, torchvision and of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import numpy
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.embeddings import get_timestep_embedding
from open_clip.model import CLIP
from PIL import Image
from torch import Tensor
from torchvision import models
from torchvision.transforms.v2 import functional
from transformers import CLIPTextConfig, CLIPTextModel

from tests.processors.inputs import fill, image, leaf, tensor
from uvlp.core import plugins
from uvlp.core.square_roots import square_root, with_square_roots
from uvlp.models.dit import diffusion
from uvlp.protocols.training import augment

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def scheduler(name: str, ours: bool) -> Any:
    """Return diffusers' scheduler, or the one of this package."""
    extra = {"PNDMScheduler": {"skip_prk_steps": True, "set_alpha_to_one": False}}
    extra["DDIMScheduler"] = {"clip_sample": False, "set_alpha_to_one": False}
    beginning = {} if name in ("DDPMScheduler", "DPMSolverMultistepScheduler") else {"steps_offset": 1}
    schedule = {key: value for key, value in SCHEDULE.items() if key != "steps_offset"}
    stock = getattr(diffusers, name)
    return (with_square_roots(stock) if ours else stock)(**schedule, **beginning, **extra.get(name, {}))


def stepped(name: str, ours: bool = False) -> Callable[[], object]:
    """Return a computation of the sample after each of seven steps, with a linear noise prediction."""

    def compute() -> object:
        found = scheduler(name, ours)
        found.set_timesteps(7)
        sample = tensor(2, 4, 8, 8) * found.init_noise_sigma
        samples = []
        for timestep in found.timesteps:
            scaled = found.scale_model_input(sample, timestep)
            sample = found.step(0.6 * scaled + 0.25, timestep, sample).prev_sample
            samples.append(sample)
        return samples

    return compute


def noised(name: str, ours: bool = False) -> Callable[[], object]:
    def compute() -> object:
        found = scheduler(name, ours)
        found.set_timesteps(10)
        times = found.timesteps[[2, 5, 7]]
        return found.add_noise(tensor(3, 4, 8, 8), tensor(3, 4, 8, 8, seed=1), times)

    return compute


def trained(model: Any, call: Callable[[Any, Tensor], Tensor], *shape: int) -> list[Any]:
    """Return the result, and the gradient of every weight."""
    images = leaf(*shape, seed=5)
    result = call(fill(model), images)
    result.backward(tensor(*result.shape, seed=9))
    return [result.detach(), images.grad, *(one.grad for one in model.parameters() if one.grad is not None)]


def autoencoder() -> Any:
    return fill(
        diffusers.AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=8,
            latent_channels=4,
            sample_size=16,
            mid_block_add_attention=False,
        )
    )


def encoded() -> object:
    posterior = autoencoder().encode(tensor(3, 3, 16, 16)).latent_dist
    return [part.detach() for part in (posterior.mean, posterior.std, posterior.kl())]


def decoded() -> object:
    return autoencoder().decode(tensor(3, 4, 8, 8)).sample.detach()


def unet() -> object:
    network = diffusers.UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    states, times = tensor(3, 7, 16, seed=2), torch.tensor([1, 500, 999])
    return trained(network, lambda model, noisy: model(noisy, times, states).sample, 3, 4, 8, 8)


def clip() -> object:
    network = CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 32, "layers": [1, 1, 1, 1], "width": 8},
        text_cfg={"context_length": 9, "vocab_size": 50, "width": 16, "heads": 2, "layers": 2},
    )
    tokens = torch.arange(18).reshape(2, 9)

    def logits(model: Any, pixels: Tensor) -> Tensor:
        images, texts, scale = model(pixels, tokens)
        return scale * images @ texts.T

    return trained(network, logits, 2, 3, 32, 32)


def text_states() -> object:
    config = CLIPTextConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=9,
        bos_token_id=0,
        eos_token_id=17,
    )
    network = fill(CLIPTextModel(config)).eval()
    found = network(torch.arange(18).reshape(2, 9))
    return found.last_hidden_state.detach(), found.pooler_output.detach()


def evaluated(name: str, depth: int, norm: str) -> Callable[[], object]:
    """Return a training step of a test network, 16 px."""
    return lambda: trained(
        plugins.load("networks", name).build(depth, classes=10, size_px=16, norm=norm, width=16),
        lambda network, images: network(images),
        *(5, 3, 16, 16),
    )


def augmented() -> object:
    draws = augment.draw(
        numpy.random.default_rng(0), 5, 16, crop_scale=0.5, flip=0.5, jitter=0.4, lighting=0.1
    )
    return augment.augment(tensor(5, 3, 16, 16, low=0, span=1), augment.prepare(draws, 16))


def diffused() -> object:
    """Return noisy latents of DiT's process, and a denoising step."""
    process, clean, noise = diffusion.chain(50), tensor(3, 4, 4, 4), tensor(3, 4, 4, 4, seed=1)
    noisy = diffusion.noised(process, clean, torch.tensor([1, 20, 49]), noise)
    output = torch.cat((0.3 * noisy, 0.1 * noisy), dim=1)
    return noisy, diffusion.sample_step(process, output, noisy, 20, noise)


def averaged() -> object:
    network = fill(torch.nn.Linear(33, 17))
    average = diffusers.training_utils.EMAModel(network.parameters(), decay=0.9)
    for number in range(3):
        with torch.no_grad():
            network.weight.add_(tensor(17, 33, seed=number))
        average.step(network.parameters())
    return average.shadow_params


WIDE = (torch.float32, torch.float64)
STEPPING = ("PNDMScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler")
OPERATIONS: dict[str, Callable[[], object]] = {
    **{f"diffusers.{name}.step": stepped(name) for name in STEPPING},
    **{f"diffusers.{name}.add_noise": noised(name) for name in STEPPING},
    "diffusers.DDPMScheduler.add_noise": noised("DDPMScheduler"),
    **{f"uvlp {name}.step": stepped(name, ours=True) for name in STEPPING},
    **{f"uvlp {name}.add_noise": noised(name, ours=True) for name in (*STEPPING, "DDPMScheduler")},
    "uvlp square_root": lambda: [square_root(tensor(999).abs().to(dtype)) for dtype in WIDE],
    "diffusers.get_timestep_embedding": lambda: get_timestep_embedding(torch.tensor([1, 500, 999]), 32),
    "diffusers.DiagonalGaussianDistribution": lambda: DiagonalGaussianDistribution(tensor(2, 8, 8, 8)).sample(
        torch.Generator().manual_seed(7)
    ),
    "diffusers.AutoencoderKL.encode": encoded,
    "diffusers.AutoencoderKL.decode": decoded,
    "diffusers.UNet2DConditionModel": unet,
    "diffusers.EMAModel": averaged,
    "transformers.CLIPTextModel": text_states,
    "open_clip.CLIP": clip,
    "torchvision.resnet18": lambda: trained(
        models.resnet18(num_classes=10), lambda network, images: network(images), 3, 3, 32, 32
    ),
    "torchvision.resized_crop": lambda: functional.resized_crop(tensor(2, 3, 40, 31), 3, 5, 16, 16, [8, 8]),
    "torchvision.resize of bytes": lambda: functional.resize(
        torch.from_numpy(image()).permute(2, 0, 1), [16, 16]
    ),
    "torchvision.resize of Pillow": lambda: numpy.asarray(
        functional.resize(Image.fromarray(image()), [16, 16])
    ),
    "uvlp ConvNet, instance norm": evaluated("convnet", 3, "instance"),
    "uvlp ResNet, batch norm": evaluated("resnet", 10, "batch"),
    "uvlp ResNetAP": evaluated("resnet_ap", 10, "instance"),
    "uvlp augmentation": augmented,
    "uvlp DiT diffusion": diffused,
}
