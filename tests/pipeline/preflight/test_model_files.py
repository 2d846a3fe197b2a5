"""Published models whose files do not fit together are refused before any work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.pipeline.preflight.requests import Call
from uvlp.core.hashing import HashCache

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], Tensors]


def without(end: str) -> Change:
    return lambda state: {name: value for name, value in state.items() if not name.endswith(end)}


def with_one_more(state: Tensors) -> Tensors:
    return {**state, "extra.weight": torch.zeros(3)}


def reshaped(end: str) -> Change:
    return lambda state: {
        name: torch.zeros(3, 5) if name.endswith(end) else value for name, value in state.items()
    }


UNET, CODER = "diffusion/unet/diffusion_pytorch_model", "diffusion/vae/diffusion_pytorch_model"
TEXT, CLIP = "diffusion/text_encoder/model", "clip/open_clip_model"
WEIGHTS: Mapping[str, tuple[str, Change, str]] = {
    "a UNet without a tensor": (UNET, without("attn2.to_k.weight"), "attn2.to_k.weight"),
    "a UNet without its last layer": (UNET, without("conv_out.bias"), "conv_out.bias"),
    "a UNet with a wrong shape": (UNET, reshaped("time_embedding.linear_1.weight"), "(3, 5)"),
    "a UNet with an extra tensor": (UNET, with_one_more, "extra.weight"),
    "an autoencoder without a tensor": (CODER, without("post_quant_conv.bias"), "post_quant_conv.bias"),
    "an autoencoder with a wrong shape": (CODER, reshaped("quant_conv.weight"), "(3, 5)"),
    "an autoencoder with an extra tensor": (CODER, with_one_more, "extra.weight"),
    "a text encoder with a wrong shape": (TEXT, reshaped("layers.1.mlp.fc1.weight"), "(3, 5)"),
    "a text encoder with an extra tensor": (TEXT, with_one_more, "extra.weight"),
    "a CLIP without a tensor of its image tower": (
        CLIP,
        without("visual.ln_post.bias"),
        "visual.ln_post.bias",
    ),
    "a CLIP without a tensor of its text tower": (CLIP, without("0.attn.in_proj_bias"), "in_proj_bias"),
    "a CLIP with a wrong shape": (CLIP, reshaped("visual.conv1.weight"), "(3, 5)"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_do_not_fit_their_configuration_are_refused(
    name: str, paper: Call, models: Path
) -> None:
    stem, change, detail = WEIGHTS[name]
    path = models / f"{stem}.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    error = paper()
    assert error.what.endswith("its weights)") and detail in f"{error.got} {error.allowed}"


def test_autoencoder_with_deprecated_tensor_names_is_accepted(models: Path, tmp_path: Path) -> None:
    """Stable Diffusion 1.5 is published with them, and diffusers reads them."""
    from uvlp.models.autoencoder import Autoencoder
    from uvlp.models.published import find
    from uvlp.models.published.checks.model_tensors import OLD_ATTENTION
    from uvlp.recipes.schema import ModelSettings

    path = models / f"{CODER}.safetensors"
    state = load_file(path)
    for old, new in OLD_ATTENTION.items():
        state = {name.replace(f".{new}.", f".{old}."): value for name, value in state.items()}
    assert any(".attentions.0.proj_attn." in name for name in state)
    save_file(state, path, metadata={"format": "pt"})
    assert find.find(ModelSettings(diffusion=str(models / "diffusion")), "autoencoder", tmp_path)
    assert Autoencoder.load(models / "diffusion", "vae")


def test_llava_without_a_layer_is_refused(paper: Call, models: Path) -> None:
    path = models / "llava" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["text_config"]["num_hidden_layers"] = 3
    path.write_text(json.dumps(config), encoding="utf-8")
    error = paper()
    assert error.what.endswith("its weights)") and "language.layers.2" in str(error.got)


FIELDS: Mapping[str, tuple[Any, str]] = {
    "diffusion/vae/config.json scaling_factor": (0.0, "0.0"),
    "diffusion/vae/config.json shift_factor": (0.5, "0.5"),
    "diffusion/vae/config.json latent_channels": (8, "8"),
    "diffusion/vae/config.json norm_num_groups": (3, ""),
    "diffusion/unet/config.json out_channels": (8, "8"),
    "diffusion/unet/config.json time_cond_proj_dim": (256, "256"),
    "diffusion/unet/config.json layers_per_block": ("two", "two"),
    "diffusion/unet/config.json attention_head_dim": (3, "3"),
    "diffusion/text_encoder/config.json num_attention_heads": (5, "5"),
    "diffusion/scheduler/scheduler_config.json beta_schedule": ("steep", "steep"),
    "diffusion/scheduler/scheduler_config.json num_train_timesteps": (10, "10"),
    "diffusion/scheduler/scheduler_config.json beta_end": (7.0, "7.0"),
    "diffusion/model_index.json unet": (None, "None"),
    "diffusion/model_index.json tokenizer": (["transformers", "T5Tokenizer"], "T5Tokenizer"),
    "diffusion/tokenizer/tokenizer_config.json model_max_length": (999, "999"),
    "diffusion/tokenizer/tokenizer.json model": ({"vocab": {"a": 10**6}}, "1000000"),
    "clip/tokenizer_config.json": (None, ""),
    "llava/processor_config.json patch_size": (None, "None"),
}


@pytest.mark.parametrize("key", FIELDS)
def test_unusable_field_of_a_configuration_is_refused(key: str, paper: Call, models: Path) -> None:
    name, _, field = key.partition(" ")
    value, got = FIELDS[key]
    path = models / name
    if field:
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(config | {field: value}), encoding="utf-8")
    else:
        path.write_text("[]", encoding="utf-8")
    error = paper()
    assert str(path) in f"{error.what} {error.got}" and got in str(error.got)


def test_image_side_of_the_published_autoencoder_is_checked(paper: Call, models: Path) -> None:
    """With one level more than Stable Diffusion 1.5, the autoencoder downsamples by 16."""
    from diffusers import AutoencoderKL

    coder = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        block_out_channels=(8,) * 5,
        norm_num_groups=4,
    )
    coder.save_pretrained(models / "diffusion" / "vae")
    error = paper("--set=image_px=72", "--set=finetune.resolution_px=64")
    assert (error.what, error.got) == ("setting image_px", 72) and "16" in str(error.allowed)
    error = paper("--set=finetune.resolution_px=72")
    assert (error.what, error.got) == ("setting finetune.resolution_px", 72)


def test_clip_without_its_tokenizer_is_refused(paper: Call, models: Path) -> None:
    (models / "clip" / "tokenizer.json").unlink()
    error = paper()
    assert "hf_tokenizer_name" in error.what and error.got == "local"


@pytest.mark.parametrize("stem", [UNET, CLIP])
def test_nan_weights_are_refused_despite_a_cached_hash(
    stem: str, paper: Call, models: Path, store: Path
) -> None:
    """An earlier version, which did not check for NaN, cached the hash."""
    path = models / f"{stem}.safetensors"
    state = load_file(path)
    next(iter(state.values())).view(-1)[0] = float("nan")
    save_file(state, path, metadata={"format": "pt"})
    time.sleep(0.05)  # hashes of files written within a clock tick are not cached
    known = HashCache(store / "datasets" / "models.json")
    known.sha256(path)
    known.save()
    assert HashCache(store / "datasets" / "models.json").sha256(path)
    error = paper()
    assert "not finite" in error.what and error.got == str(path)
