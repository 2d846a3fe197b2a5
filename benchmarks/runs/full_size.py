"""The published models at full size, from their public configurations, with random weights.

Speed and memory do not depend on the weights' values, so that benchmarks need no download:

    unet = build(UNet2DConditionModel, unet_config(), "cuda", torch.bfloat16)

On the device ``meta`` a model has shapes and no memory: enough to count operations and parameters.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights

from tests import tiny_models

IMAGE_PX = 512
LATENT = (4, 64, 64)
TOKENS = 77

M = TypeVar("M", bound=torch.nn.Module)


def unet_config() -> dict[str, Any]:
    """The UNet of Stable Diffusion 1.5, for ``diffusers.UNet2DConditionModel``."""
    return {
        "sample_size": 64,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        "layers_per_block": 2,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,  # read as the number of heads
        "norm_num_groups": 32,
    }


def vae_config() -> dict[str, Any]:
    """The autoencoder of Stable Diffusion 1.5, for ``diffusers.AutoencoderKL``."""
    return {
        "sample_size": IMAGE_PX,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "scaling_factor": 0.18215,
    }


def text_config() -> Any:
    """The text encoder of Stable Diffusion 1.5, for ``transformers.CLIPTextModel``."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=TOKENS,
        hidden_act="quick_gelu",
        projection_dim=768,
    )


def clip_config() -> dict[str, Any]:
    """CLIP ViT-L/14 with quick-GELU, for ``open_clip.CLIP``."""
    import open_clip

    return dict(open_clip.get_model_config("ViT-L-14-quickgelu"))


def llava_config() -> Any:
    """LLaVA-1.5-7B, for ``transformers.LlavaForConditionalGeneration``."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    text = LlamaConfig(
        vocab_size=32064,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=32000,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


def llava(device: torch.device | str, dtype: torch.dtype) -> tuple[Any, Any]:
    """LLaVA-1.5-7B and a processor for it, with the vocabulary of the tests' tiny model."""
    from transformers import LlavaForConditionalGeneration

    config = llava_config()
    processor = tiny_models.llava_processor(config.vision_config.image_size, config.vision_config.patch_size)
    config.image_token_index = processor.image_token_id
    return build(LlavaForConditionalGeneration, config, device, dtype), processor


def build(cls: type[M], config: Any, device: torch.device | str, dtype: torch.dtype) -> M:
    """A model in evaluation mode with random weights of ``dtype`` on ``device``.

    Args:
        cls: its class.
        config: keyword arguments as a dict, or the one configuration object that the class takes.
        device: ``cuda``, ``cpu`` or ``meta``.
        dtype: of the parameters; buffers keep theirs.
    """
    with init_empty_weights(include_buffers=False):
        model = cls(**config) if isinstance(config, dict) else cls(config)
    _replace_parameters(model, device, dtype)
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
    return model.eval()


@torch.no_grad()
def _replace_parameters(model: torch.nn.Module, device: torch.device | str, dtype: torch.dtype) -> None:
    """Give every parameter memory and a random value; shared parameters stay shared."""
    generator = None if str(device) == "meta" else torch.Generator(device).manual_seed(0)
    made: dict[int, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, old in list(module.named_parameters(recurse=False)):
            if id(old) not in made:
                value = torch.empty(old.shape, dtype=dtype, device=device)
                if generator is not None:
                    _fill(value, name, generator)
                made[id(old)] = torch.nn.Parameter(value)
            setattr(module, name, made[id(old)])


def _fill(value: torch.Tensor, name: str, generator: torch.Generator) -> None:
    """Values that keep activations near one: unit gain in matrices, ones in norms, no bias."""
    if value.ndim >= 2:
        value.normal_(0, 1 / math.sqrt(value[0].numel()), generator=generator)
    else:
        value.fill_(float(name.endswith("weight")))


def tokenizer() -> Any:
    """CLIP's tokenizer as ``transformers.CLIPTokenizer``, from the vocabulary of open_clip."""
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    words = SimpleTokenizer()
    vocabulary = {names.get(word, word): index for word, index in words.encoder.items()}
    merges = list(words.bpe_ranks)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)
