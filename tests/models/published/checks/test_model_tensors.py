"""Names and shapes derived from a configuration agree with the models that the libraries build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models.published.checks import model_tensors
from uvlp.models.published.checks.model_fields import Fields

PUBLISHED: dict[str, Any] = {
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
UNETS: dict[str, dict[str, Any]] = {
    "published": PUBLISHED,
    "defaults": {"cross_attention_dim": 1280},
    "one level": {
        "block_out_channels": [16],
        "down_block_types": ["CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D"],
        "layers_per_block": 1,
        "cross_attention_dim": 5,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
    },
    "a value per level": {
        "block_out_channels": [8, 16],
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": [1, 1],
        "cross_attention_dim": [12, 12],
        "transformer_layers_per_block": [1, 1],
        "only_cross_attention": [False, False],
        "attention_head_dim": [2, 2],
        "norm_num_groups": 4,
    },
    "several depths": {
        "block_out_channels": [8, 24, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "layers_per_block": [1, 3, 2],
        "cross_attention_dim": 12,
        "attention_head_dim": [2, 4, 8],
        "norm_num_groups": 8,
    },
}
CODERS: dict[str, dict[str, Any]] = {
    "published": {
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 2,
    },
    "defaults": {},
    "small": {
        "block_out_channels": [16, 32, 8],
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "norm_num_groups": 8,
        "mid_block_add_attention": False,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
}
TEXTS: dict[str, dict[str, Any]] = {
    "published": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
    },
    "defaults": {},
    "small": {
        "hidden_size": 8,
        "intermediate_size": 24,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "vocab_size": 99,
        "max_position_embeddings": 5,
    },
}


def fields(config: dict[str, Any]) -> Fields:
    return Fields(title="the model", path=Path("config.json"), config=config)


def built(model: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", UNETS)
def test_the_tensors_of_a_unet_agree_with_diffusers(name: str) -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        model = UNet2DConditionModel(**UNETS[name])
    assert model_tensors.unet(fields(UNETS[name])) == built(model)


@pytest.mark.parametrize("name", CODERS)
def test_the_tensors_of_an_autoencoder_agree_with_diffusers(name: str) -> None:
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        model = AutoencoderKL(**CODERS[name], latent_channels=4)
    assert model_tensors.autoencoder(fields(CODERS[name])) == built(model)
    assert model_tensors.downsampling(fields(CODERS[name])) == 2 ** (len(model.config.block_out_channels) - 1)


@pytest.mark.parametrize("name", TEXTS)
def test_the_tensors_of_a_text_encoder_agree_with_transformers(name: str) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(**TEXTS[name]))
    found = {name.removeprefix("text_model."): shape for name, shape in built(model).items()}
    assert model_tensors.text_encoder(fields(TEXTS[name])) == {
        name: shape for name, shape in found.items() if not name.endswith("position_ids")
    }


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        *(("unet", field, "x") for field in model_tensors.UNET_ONLY),
        ("unet", "block_out_channels", []),
        ("unet", "block_out_channels", [320, 640, 1280, 1281]),
        ("unet", "block_out_channels", [320, 640, 1280]),
        ("unet", "block_out_channels", [2**40] * 4),
        ("unet", "layers_per_block", 10**9),
        ("unet", "layers_per_block", [1, 2]),
        ("unet", "layers_per_block", None),
        ("unet", "layers_per_block", True),
        ("unet", "cross_attention_dim", "768"),
        ("unet", "cross_attention_dim", [768, 768]),
        ("unet", "cross_attention_dim", [768, 768, 768, 1024]),
        ("unet", "transformer_layers_per_block", [1, 2, 10]),
        ("unet", "attention_head_dim", 7),
        ("unet", "attention_head_dim", [8]),
        ("unet", "down_block_types", ["AttnDownBlock2D"] * 4),
        ("unet", "up_block_types", [["UpBlock2D"]] * 4),
        ("unet", "norm_num_groups", 0),
        *(("autoencoder", field, "x") for field in model_tensors.CODER_ONLY),
        *(("autoencoder", "scaling_factor", value) for value in (0, -1, "x", True, float("inf"), [1])),
        ("autoencoder", "block_out_channels", "64"),
        ("autoencoder", "down_block_types", ["DownBlock2D"]),
        ("autoencoder", "norm_num_groups", 7),
        ("text_encoder", "num_attention_heads", 7),
        ("text_encoder", "num_hidden_layers", 10**9),
        ("text_encoder", "hidden_size", -1),
    ],
)
def test_another_architecture_is_refused_by_its_field(part: str, field: str, value: Any) -> None:
    valid = {"unet": PUBLISHED, "autoencoder": {}, "text_encoder": {}}[part]
    with pytest.raises(UvlpError) as caught:
        getattr(model_tensors, part)(fields({**valid, field: value}))
    assert "config.json" in caught.value.what and caught.value.allowed
    reported = "down_block_types" if value == [320, 640, 1280] else field
    reported = "block_out_channels" if value == 7 and part == "autoencoder" else reported
    assert f", {reported})" in caught.value.what
