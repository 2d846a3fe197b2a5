"""Tiny random models in the file formats of the published ones, a few hundred kB each, always the same bytes.

`diffusion(folder)`, `clip(folder)`, `llava(folder)`, `dit(folder)` and `stylegan_xl(folder)` write Stable
Diffusion 1.5, OpenAI's CLIP in open_clip's layout, LLaVA-1.5, DiT-XL/2 and StyleGAN-XL to a folder; they
differ from the published models only in size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from uvlp.models import tokenizer
from uvlp.models.diffuser import stable_diffusion_scheduler
from uvlp.models.quiet import quiet

WIDTH = 32
CONTEXT_LENGTH = 77
IMAGE_PX = 64
PATCH_PX = 16
CLIP_PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %} "
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
WORDS = [
    "USER:",
    "ASSISTANT:",
    "describe",
    "the",
    "physical",
    "appearance",
    "of",
    "this",
    "in",
    "image",
    "a",
    "an",
    "photo",
    "small",
    "large",
    "red",
    "green",
    "blue",
    "grey",
    "white",
    "dark",
    "bright",
    "bar",
    "circle",
    "square",
    "on",
    "with",
    "and",
    "is",
    "it",
    "has",
    "shape",
    "ground",
    "pale",
    ".",
    ",",
    "?",
]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def diffusion(folder: Path, seed: int = 0) -> Path:
    """Write a Stable Diffusion 1.5 pipeline: latents [4, 8, 8] for 64 px, text states of 77 tokens, PNDM."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    with _seeded(seed):
        folder.mkdir(parents=True, exist_ok=True)
        size = tokenizer.train(WORDS, CONTEXT_LENGTH, folder / "tokenizer")
        text = CLIPTextConfig(
            vocab_size=size,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=CONTEXT_LENGTH,
            projection_dim=WIDTH,
            bos_token_id=size - 2,
            eos_token_id=size - 1,
        )
        vae = _vae()
        unet = UNet2DConditionModel(
            sample_size=IMAGE_PX // 8,
            in_channels=4,
            out_channels=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            cross_attention_dim=WIDTH,
            attention_head_dim=2,
            norm_num_groups=4,
        )
        save_pipeline(
            folder,
            vae=vae,
            text_encoder=CLIPTextModel(text),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            unet=unet,
        )
    return folder


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=IMAGE_PX,
        scaling_factor=0.18215,
    )


def dit(folder: Path, seed: int = 0) -> Path:
    """Write a DiT for the 1,000 ImageNet classes: latents [4, 8, 8] for 64 px, two blocks, random weights.

    The embeddings are equal in every block, as in the published model, and no weight is 0.
    """
    from diffusers import DDPMScheduler, DiTPipeline, DiTTransformer2DModel

    with _seeded(seed):
        transformer = DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            out_channels=8,
            num_layers=2,
            sample_size=IMAGE_PX // 8,
        )
        for parameter in transformer.parameters():
            parameter.data.normal_(std=0.1)
        first, second = transformer.transformer_blocks
        second.norm1.emb.load_state_dict(first.norm1.emb.state_dict())
        pipeline: Any = DiTPipeline(transformer, _vae(), DDPMScheduler())
        pipeline.save_pretrained(folder)
    return folder


def stylegan_xl(folder: Path, seed: int = 0) -> Path:
    """Write a StyleGAN-XL for the 1,000 ImageNet classes and 16 px: a stem of 8 px, and one stage."""
    from safetensors.torch import save_file

    from tests.models.stylegan_xl.small_generators import SMALL, generator

    folder.mkdir(parents=True)
    state = {name: tensor.float() for name, tensor in generator(seed).state_dict().items()}
    state["mapping.w_avg"] = torch.zeros(1000, SMALL["w_dim"])
    save_file(state, folder / "generator.safetensors")
    config = {"generator": "stylegan-xl", **SMALL}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return folder


def save_pipeline(folder: Path, **models: Any) -> None:
    """Save ``vae``, ``text_encoder``, ``tokenizer`` and ``unet`` as a pipeline without a safety checker."""
    from diffusers import StableDiffusionPipeline

    unused = dict.fromkeys(("safety_checker", "feature_extractor", "image_encoder"))
    pipeline: Any = StableDiffusionPipeline(
        **models, **unused, scheduler=stable_diffusion_scheduler(), requires_safety_checker=False
    )
    pipeline.save_pretrained(folder)


def clip(folder: Path, quick_gelu: bool = True, seed: int = 0) -> Path:
    """Write a CLIP with a ViT in open_clip's `local-dir:` layout, like OpenAI's published weights."""
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    with _seeded(seed):
        folder.mkdir(parents=True, exist_ok=True)
        vocabulary = tokenizer.train(WORDS, CONTEXT_LENGTH, folder)
        model_cfg = {
            "embed_dim": WIDTH,
            **({"quick_gelu": True} if quick_gelu else {}),
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
            "text_cfg": {
                "context_length": CONTEXT_LENGTH,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": "local",
                "width": WIDTH,
                "heads": 2,
                "layers": 2,
            },
        }
        config = {"model_cfg": model_cfg, "preprocess_cfg": CLIP_PREPROCESS}
        (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        save_file(CLIP(**model_cfg).state_dict(), folder / "open_clip_model.safetensors")
    return folder


def llava(folder: Path, seed: int = 0, shard_size: str = "40KB") -> Path:
    """Write a LLaVA-1.5 with 16 tokens per image of 64 px, in several shards with their index."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    with _seeded(seed):
        processor = llava_processor()
        words = processor.tokenizer
        vision = CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=IMAGE_PX,
            patch_size=PATCH_PX,
            projection_dim=WIDTH,
        )
        language = LlamaConfig(
            vocab_size=len(words),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
        config = LlavaConfig(
            vision_config=vision,
            text_config=language,
            image_token_index=words.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
            image_seq_length=(IMAGE_PX // PATCH_PX) ** 2,
        )
        model = LlavaForConditionalGeneration(config)
        model.save_pretrained(folder, max_shard_size=shard_size)
        processor.save_pretrained(folder)
    return folder


def llava_processor(image_px: int = IMAGE_PX, patch_px: int = PATCH_PX) -> Any:
    """Return LLaVA-1.5's processor with a few dozen words, for images and patches of any size."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

    names = ["<unk>", "<s>", "</s>", "<pad>", "<image>", *WORDS]
    words = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": image_px}, crop_size={"height": image_px, "width": image_px}
        ),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=words,
            unk_token="<unk>",
            bos_token="<s>",
            eos_token="</s>",
            pad_token="<pad>",
            padding_side="left",  # as an attribute it would not be saved
            extra_special_tokens={"image_token": "<image>"},
        ),
        patch_size=patch_px,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
