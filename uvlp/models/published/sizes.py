"""File sizes of the default models, announced before a download."""

from __future__ import annotations

from collections.abc import Mapping

OPENAI = "timm/vit_large_patch14_clip_224.openai"
"""open_clip's repository of OpenAI's ViT-L/14 (`ViT-L-14-quickgelu` / `openai` in its list)."""

SIZES: Mapping[str, Mapping[str, int]] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": {
        "unet/diffusion_pytorch_model.safetensors": 3_438_167_540,
        "vae/diffusion_pytorch_model.safetensors": 334_643_276,
        "text_encoder/model.safetensors": 492_265_874,
        "tokenizer/vocab.json": 1_059_962,
    },
    "facebook/DiT-XL-2-256": {
        "transformer/diffusion_pytorch_model.safetensors": 2_999_000_000,
        "vae/diffusion_pytorch_model.safetensors": 334_643_276,
    },
    OPENAI: {"open_clip_model.safetensors": 1_710_000_000, "tokenizer.json": 3_640_000},
    "llava-hf/llava-1.5-7b-hf": {
        "model-00001-of-00003.safetensors": 4_990_000_000,
        "model-00002-of-00003.safetensors": 4_960_000_000,
        "model-00003-of-00003.safetensors": 4_180_000_000,
        "tokenizer.json": 3_620_000,
    },
}
"""Bytes of the large files of the default repositories, as listed on their pages."""
