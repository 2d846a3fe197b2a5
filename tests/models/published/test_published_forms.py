"""Variants of the published models and of weights derived from them, which must not be refused.

Values and names are those of public repositories: runwayml's and CompVis' Stable Diffusion 1.x and pipelines
saved by diffusers 0.6 to 0.32, laion's and timm's CLIPs, llava-hf's conversions of LLaVA-1.5.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny_models
from uvlp.core.errors import UvlpError
from uvlp.models.finetuning.parts import check_base, load_parts
from uvlp.models.published import find
from uvlp.models.published.checks import clip_checks
from uvlp.recipes.schema import ModelSettings

Tensors = dict[str, torch.Tensor]

UNUSED = {
    "addition_embed_type": None,
    "addition_embed_type_num_heads": 64,
    "addition_time_embed_dim": None,
    "attention_type": "default",
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "dropout": 0.0,
    "dual_cross_attention": False,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "mid_block_only_cross_attention": None,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "num_attention_heads": None,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "projection_class_embeddings_input_dim": None,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "reverse_transformer_layers_per_block": None,
    "time_cond_proj_dim": None,
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
    "transformer_layers_per_block": 1,
    "upcast_attention": None,
    "use_linear_projection": False,
}
"""Fields of diffusers 0.32 that 0.6 does not have."""
MOVING_AVERAGE = {
    "decay": 0.9999,
    "inv_gamma": 1.0,
    "min_decay": 0.0,
    "optimization_step": 1000,
    "power": 2 / 3,
    "update_after_step": 0,
    "use_ema_warmup": False,
}
UNIPC = {
    "_class_name": "UniPCMultistepScheduler",
    "disable_corrector": [],
    "lower_order_final": True,
    "predict_x0": True,
    "skip_prk_steps": True,
    "solver_p": None,
    "solver_type": "bh2",
    "timestep_spacing": "linspace",
    "trained_betas": None,
}
NULLS = {"latents_mean": None, "latents_std": None, "shift_factor": None, "force_upcast": True}
INDEX = {
    "image_encoder": [None, None],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
}

Edits = Mapping[str, Mapping[str, Any]]
"""Fields to write by file; ``...`` removes a field."""
FIELDS: Mapping[str, Edits] = {
    "diffusers 0.6": {
        "unet": dict.fromkeys(UNUSED, ...),
        "vae": dict.fromkeys(("scaling_factor", *NULLS), ...),
    },
    "diffusers 0.32": {"unet": UNUSED, "vae": NULLS},
    "a moving average": {"unet": {**UNUSED, **MOVING_AVERAGE}},
    "another scheduler": {"scheduler": UNIPC},
    "a missing safety checker": {"model_index": INDEX},
    "half precision": {"text_encoder": {"torch_dtype": "float16", "projection_dim": 768}},
    "the last layer of the text encoder skipped": {"text_encoder": {"num_hidden_layers": 1}},
}
FILES = {"model_index": "model_index.json", "scheduler": "scheduler/scheduler_config.json"}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    tiny_models.diffusion(root / "diffusion")
    tiny_models.llava(root / "llava")
    return root


@pytest.fixture
def models(originals: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals, tmp_path / "models"))


def edit(path: Path, fields: Mapping[str, Any]) -> None:
    config = json.loads(path.read_text(encoding="utf-8")) | fields
    kept = {name: value for name, value in config.items() if value is not ...}
    path.write_text(json.dumps(kept), encoding="utf-8")


def found(models: Path, part: str) -> find.LocalModel:
    settings: Any = ModelSettings(**{part: str(models / part)})
    return find.find(settings, part, models)


@pytest.mark.parametrize("name", FIELDS)
def test_pipelines_with_other_fields_are_accepted(name: str, models: Path) -> None:
    for part, fields in FIELDS[name].items():
        edit(models / "diffusion" / FILES.get(part, f"{part}/config.json"), fields)
    assert found(models, "diffusion")


def of_a_complete_clip(state: Tensors) -> Tensors:
    """Return the tensors of a CLIPModel: text encoder, other towers, and buffers of older versions."""
    return {
        **{name if name.startswith("text_model.") else f"text_model.{name}": state[name] for name in state},
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "text_projection.weight": torch.zeros(32, 32),
        "visual_projection.weight": torch.zeros(32, 48),
        "vision_model.embeddings.class_embedding": torch.zeros(48),
        "vision_model.embeddings.position_ids": torch.arange(257)[None],
        "logit_scale": torch.zeros(()),
    }


@pytest.mark.parametrize("layers", [2, 1])
def test_additional_tensors_of_a_text_encoder_are_ignored(layers: int, models: Path) -> None:
    from uvlp.models.sampling.sampler import Sampler

    folder = models / "diffusion"
    path = folder / "text_encoder" / "model.safetensors"
    save_file(of_a_complete_clip(load_file(path)), path, metadata={"format": "pt"})
    edit(folder / "text_encoder" / "config.json", {"num_hidden_layers": layers})
    assert found(models, "diffusion") and Sampler.load(folder)
    assert check_base(folder)
    parts = load_parts(folder, torch.float32, torch.device("cpu"), 64)
    assert parts.text_encoder.config.num_hidden_layers == layers


def newer(name: str) -> str:
    """Rename a tensor of LLaVA as transformers does since 2025; files have the names of 2023."""
    if name.endswith("lm_head.weight"):
        return "lm_head.weight"
    name = name.replace("language_model.model.", "language_model.").replace(".vision_model.", ".")
    return f"model.{name}"


@pytest.mark.parametrize("renamed", [str, newer])
def test_llava_with_the_names_and_buffers_of_other_versions_is_accepted(
    renamed: Callable[[str], str], models: Path
) -> None:
    folder = models / "llava"
    files: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        state = {renamed(name): value for name, value in load_file(path).items()}
        if not files:
            state[renamed("vision_tower.vision_model.embeddings.position_ids")] = torch.arange(17)[None]
            state[renamed("language_model.model.layers.0.self_attn.rotary_emb.inv_freq")] = torch.ones(8)
        save_file(state, path, metadata={"format": "pt"})
        files |= dict.fromkeys(state, path.name)
    for name in ("lm_head.weight", "layers.1.mlp.up_proj.weight", "pre_layrnorm.bias"):
        assert any(each.endswith(name) for each in files)
    # A recomputed buffer: an index may list it although no shard contains it.
    buffer = renamed("language_model.model.layers.1.self_attn.rotary_emb.inv_freq")
    weight_map = {**files, buffer: next(iter(files.values()))}
    edit(folder / "model.safetensors.index.json", {"weight_map": weight_map})
    assert found(models, "llava")


@pytest.mark.parametrize("lacking", ["patch_size", "num_additional_image_tokens"])
def test_a_llava_without_fields_of_its_processor_suggests_them(lacking: str, models: Path) -> None:
    """As llava-hf's repositories in 2024; current versions of transformers fail at the first image."""
    path = models / "llava" / "processor_config.json"
    edit(path, {lacking: ...})
    with pytest.raises(UvlpError) as caught:
        found(models, "llava")
    assert lacking in caught.value.what and str(path) in str(caught.value.fix)
    entry = json.loads(str(caught.value.fix).partition("write ")[2].partition(" to /")[0])
    edit(path, entry)
    assert found(models, "llava") and entry["patch_size"] == tiny_models.PATCH_PX


VISION = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 40, "width": 16, "heads": 2, "layers": 1}
SIGLIP_VISION = {**VISION, "no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
SIGLIP_TEXT = {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
COCA_VISION = {**VISION, "attentional_pool": True, "attn_pooler_heads": 8, "output_tokens": True}
COCA_TEXT = {**TEXT, "embed_cls": True, "output_tokens": True}
CLIPS: Mapping[str, Mapping[str, Any]] = {
    "CLIP": {"vision_cfg": VISION, "text_cfg": TEXT},
    "CustomTextCLIP": {"vision_cfg": SIGLIP_VISION, "text_cfg": SIGLIP_TEXT},
    "CoCa": {"vision_cfg": COCA_VISION, "text_cfg": COCA_TEXT, "multimodal_cfg": TEXT},
}


def clip(folder: Path, kind: str, change: Callable[[str], str] = str) -> dict[str, tuple[int, ...]]:
    """Write a configuration in the format of open_clip's repositories; return the shapes of its tensors."""
    import open_clip

    config = {"embed_dim": 16, **CLIPS[kind]}
    with torch.device("meta"):
        state = getattr(open_clip, kind)(**config).state_dict()
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3}}), encoding="utf-8"
    )
    return {change(name): tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("kind", CLIPS)
def test_towers_of_open_clip_are_accepted(kind: str, tmp_path: Path) -> None:
    clip_checks.clip(tmp_path, {"open_clip_model": clip(tmp_path, kind)})


def test_a_clip_trained_on_several_gpus_is_accepted(tmp_path: Path) -> None:
    clip_checks.clip(tmp_path, {"open_clip_model": clip(tmp_path, "CLIP", "module.{}".format)})


@pytest.mark.parametrize("kind", ["CustomTextCLIP", "CoCa"])
@pytest.mark.parametrize("wrong", ["positional_embedding", "token_embedding.weight"])
def test_a_wrong_shape_in_such_a_tower_is_refused(kind: str, wrong: str, tmp_path: Path) -> None:
    shapes = clip(tmp_path, kind)
    shapes[f"text.{wrong}"] = (9, 17)
    with pytest.raises(UvlpError) as caught:
        clip_checks.clip(tmp_path, {"open_clip_model": shapes})
    assert wrong in caught.value.what and caught.value.got == (9, 17)


def test_weights_in_another_format_are_refused(tmp_path: Path) -> None:
    shapes = {
        name.replace("visual.", "vision_model."): shape for name, shape in clip(tmp_path, "CoCa").items()
    }
    with pytest.raises(UvlpError) as caught:
        clip_checks.clip(tmp_path, {"open_clip_model": shapes})
    assert caught.value.what.endswith("its weights)")
