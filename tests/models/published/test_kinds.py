"""Files and folders that are not a published model are recognised, with a suggested command that works."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import fake_hub
from tests.fake_hub import Hub, commit
from tests.models.published.copies import change
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.published import find
from uvlp.models.published.commands import BASES
from uvlp.models.quiet import quiet
from uvlp.recipes.schema import ModelSettings

UNET = "unet/diffusion_pytorch_model.safetensors"
LORA = {"unet.down_blocks.0.attentions.0.to_q.lora.down.weight": torch.zeros(4, 4)}


def refusal(path: Path, part: str = "diffusion") -> UvlpError:
    """Return the error for a path given as a model."""
    name = "diffusion" if part == "autoencoder" else part
    value = f"local-dir:{path}" if part == "clip" else str(path)
    with pytest.raises(UvlpError) as caught:
        find.needed(ModelSettings(**{name: value}), [part])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    return caught.value


def run_fix(error: UvlpError, base: Path, new: Path) -> Path:
    """Run the suggested command's code with a tiny base model, and return its output `NEW`."""
    command = re.search(r'python -c "([^"]+)"$', error.fix or "")
    assert command is not None, error.fix
    code = command[1].replace("'NEW'", repr(str(new)))
    for repository in BASES.values():
        code = code.replace(repr(repository), repr(str(base)))
    with quiet():
        exec(code, {})
    return new


def moved(copies: dict[str, Path], *keep: str) -> Path:
    """Return a folder with some of the pipeline's parts."""
    folder = copies["diffusion"].parent / "some"
    for name in keep:
        shutil.copytree(copies["diffusion"] / name, folder / name)
    return folder


def put(folder: Path, *names: str, content: bytes = b"\x80\x02") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ["pytorch_lora_weights.safetensors", "my_style.safetensors"])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_lora_weights_are_recognised(name: str, given: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "lora")
    folder.mkdir()
    save_file(LORA, folder / name)
    error = refusal(folder if given == "folder" else folder / name)
    assert "LoRA weights, not a pipeline" in error.what
    steps = (
        "load_lora_weights",
        "fuse_lora",
        "unload_lora_weights",
        "save_pretrained",
        f"weight_name='{name}'",
    )
    assert [step for step in steps if step not in str(error.fix)] == []


def test_lora_weights_in_a_complete_pipeline_are_refused(copies: dict[str, Path]) -> None:
    """They would be ignored."""
    save_file(LORA, copies["diffusion"] / "pytorch_lora_weights.safetensors")
    assert "LoRA weights" in refusal(copies["diffusion"]).what


@pytest.mark.parametrize(
    ("config", "part", "fix"),
    [
        ({"target_modules": ["to_q", "to_v"]}, "diffusion", "p.unet = P.from_pretrained(p.unet,"),
        ({"base_model_name_or_path": BASES["llava"]}, "llava", "AutoProcessor"),
        ({"base_model_name_or_path": "lmsys/vicuna-7b-v1.5"}, "llava", "the converted repository"),
        ({"target_modules": "q_proj"}, "clip", "merge them into their base model"),
    ],
)
def test_an_adapter_of_peft_is_recognised(
    config: dict[str, Any], part: str, fix: str, tmp_path: Path
) -> None:
    put(tmp_path / "a", "adapter_model.safetensors")
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config))
    error = refusal(tmp_path / "a", part)
    assert "LoRA weights in PEFT's" in error.what and fix in str(error.fix)


@pytest.mark.parametrize("unet", ["unet", "unet_ema"])
def test_a_training_checkpoint_is_recognised_and_converted(
    unet: str, copies: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    put(tmp_path / "out", "logs/x")
    folder = moved(copies, "unet").rename(tmp_path / "out" / "checkpoint-500")
    put(folder, "optimizer.bin", "scheduler.bin", "random_states_0.pkl")
    (folder / "unet").rename(folder / unet)
    weights = folder / unet / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    for given in (folder, folder.parent):
        error = refusal(given)
        assert "training checkpoint" in error.what
    new = run_fix(error, copies["diffusion"], tmp_path / "new")
    assert find.find(ModelSettings(diffusion=str(new)), "diffusion", cache)
    name = "conv_in.weight"
    trained, original = load_file(new / UNET)[name], load_file(copies["diffusion"] / UNET)[name]
    assert torch.equal(trained, original + 1)


def test_the_output_of_a_complete_training_is_a_pipeline(copies: dict[str, Path]) -> None:
    put(copies["diffusion"], "checkpoint-500/optimizer.bin", "checkpoint-500/unet/config.json")
    assert find.needed(ModelSettings(diffusion=str(copies["diffusion"])), ["diffusion"]) == {}


@pytest.mark.parametrize("files", [("optimizer.bin", "pytorch_model.bin"), ("trainer_state.json", "rng.pth")])
def test_a_training_checkpoint_without_a_network_has_no_command(
    files: tuple[str, ...], tmp_path: Path
) -> None:
    for part in ("diffusion", "llava"):
        error = refusal(put(tmp_path / "run", *files), part)
        assert "a training checkpoint" in error.what and "python" not in str(error.fix)


@pytest.mark.parametrize(("part", "top"), [("unet", True), ("unet", False), ("vae", True), ("vae", False)])
def test_a_single_network_is_recognised_and_converted(
    part: str, top: bool, copies: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    folder = moved(copies, part)
    error = refusal(folder / part if top else folder)
    assert "only a" in error.what and "not a pipeline" in error.what
    new = run_fix(error, copies["diffusion"], tmp_path / "new")
    assert find.find(ModelSettings(diffusion=str(new)), "diffusion", cache)


def test_a_training_checkpoint_of_two_networks_is_converted(
    copies: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    folder = put(moved(copies, "unet", "text_encoder"), "optimizer.bin")
    new = run_fix(refusal(folder), copies["diffusion"], tmp_path / "new")
    assert find.find(ModelSettings(diffusion=str(new)), "diffusion", cache)
    assert "subfolder='text_encoder'" in str(refusal(folder).fix)


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        ("lora_unet_x.hada_w1_a", "LyCORIS"),
        ("lora_te2_x.lora_down.weight", "LoRA weights for Stable Diffusion XL"),
    ],
)
def test_other_low_rank_weights_have_no_command(tensor: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    save_file({tensor: torch.zeros(1)}, tmp_path / "x" / "style.safetensors")
    error = refusal(tmp_path / "x")
    assert what in error.what and "python" not in str(error.fix)


def test_transformers_models_pickles_and_the_hubs_folder_are_recognised(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, put(tmp_path / "llm", "a.txt") / "model.safetensors")
    (tmp_path / "llm" / "config.json").write_text('{"model_type": "llama"}')
    assert "a model for transformers (llama)" in refusal(tmp_path / "llm").what
    assert "pickled weights" in refusal(put(tmp_path / "h", "h.pt")).what
    error = refusal(put(tmp_path / "c", "epoch_32.pt"), "clip")
    assert "without open_clip_config.json" in error.what and "models.clip=openai" in str(error.fix)
    hub = put(tmp_path / "hub", "models--a--b/refs/main")
    assert "the folder of the hub's library" in refusal(hub).what and "a/b" in str(refusal(hub).fix)


def test_other_networks_are_recognised(tmp_path: Path) -> None:
    for name, what in (
        ("ControlNetModel", "only a ControlNet"),
        ("PixArtTransformer2DModel", "only a PixArt"),
    ):
        put(tmp_path / name, "diffusion_pytorch_model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"_class_name": name}))
        assert what in refusal(tmp_path / name).what
    assert "a textual inversion" in refusal(put(tmp_path / "word", "learned_embeds.safetensors")).what


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "is a single file"),
        ("conditioner.embedders.0.x", "Stable Diffusion XL in one file"),
        ("cond_stage_model.model.x", "Stable Diffusion 2 in one file"),
        ("control_model.x", "a ControlNet in one file"),
        ("anything.x", "a file of weights without a configuration (tensors anything.*)"),
    ],
)
def test_a_single_file_is_recognised(tensor: str, what: str, tmp_path: Path) -> None:
    tensors = {tensor: torch.zeros(1), "model.diffusion_model.y": torch.zeros(1)}
    if tensor.startswith("anything"):
        del tensors["model.diffusion_model.y"]
    put(tmp_path / "one").mkdir()
    save_file(tensors, tmp_path / "one" / "model.safetensors")
    for path in (tmp_path / "one", tmp_path / "one" / "model.safetensors"):
        error = refusal(path)
        assert what in error.what
        assert ("from_single_file" in str(error.fix)) == tensor.startswith("model.")


def test_weights_in_one_variant_are_converted(copies: dict[str, Path], cache: Path, tmp_path: Path) -> None:
    """Of one network, then of all."""
    folder = copies["diffusion"]
    for number, name in enumerate((UNET, UNET.replace("unet", "vae"), "text_encoder/model.safetensors")):
        weights = folder / name
        save_file({key: tensor.half() for key, tensor in load_file(weights).items()}, weights)
        weights.rename(weights.with_suffix(".fp16.safetensors"))
        if number != 1:
            error = refusal(folder)
            assert error.what.endswith("variant fp16")
            new = run_fix(error, folder, tmp_path / f"new{number}")
            assert find.find(ModelSettings(diffusion=str(new)), "diffusion", cache)


@pytest.mark.parametrize(
    ("part", "file"), [("diffusion", UNET), ("llava", "model-00001-of-00005.safetensors"), ("clip", "")]
)
def test_git_lfs_pointers_are_recognised(part: str, file: str, copies: dict[str, Path]) -> None:
    folder = copies[part]
    name = file or "open_clip_model.safetensors"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4\n"
    put(folder, name, content=pointer.encode())
    error = refusal(folder, part)
    assert "Git LFS" in error.what and error.what.endswith(name)
    assert "`git lfs pull`" in str(error.fix)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("unet/model.onnx", "ONNX"),
        ("unet/diffusion_flax_model.msgpack", "Flax"),
        ("tf_model.h5", "TensorFlow"),
        ("sd-v1-5-q4.gguf", "GGUF"),
    ],
)
def test_weights_of_other_libraries_are_recognised(name: str, library: str, tmp_path: Path) -> None:
    error = refusal(put(tmp_path / "x", name))
    assert f"weights in {library}" in error.what and error.got == str(tmp_path / "x" / name)


def test_a_repository_in_the_hubs_folder_suggests_a_revision(originals: dict[str, Path], home: Path) -> None:
    snapshot = fake_hub.place(home / "hub", "some/sd", commit("a"), originals["diffusion"])
    for folder in (snapshot.parents[1], snapshot.parent):
        error = refusal(folder)
        assert "the hub library's folder of some/sd" in error.what
        assert str(error.fix).endswith(str(snapshot))


def test_the_parent_of_a_model_suggests_the_subfolder(copies: dict[str, Path]) -> None:
    error = refusal(copies["diffusion"].parent)
    assert error.fix == f"did you mean {copies['diffusion']}?"


@pytest.mark.parametrize(
    "fields",
    [
        {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"]},
        {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"]},
        {"model_type": "llava_mistral"},
        {"mm_vision_tower": "openai/clip-vit-large-patch14-336"},
    ],
)
def test_llava_in_its_authors_format_is_recognised(
    fields: dict[str, Any], copies: dict[str, Path], tmp_path: Path
) -> None:
    """Before its weights are reported as pickled, whose conversion would initialise weights at random."""
    change(copies["llava"] / "config.json", **fields)
    folder = put(tmp_path / "authors", "pytorch_model-00001-of-00002.bin")
    shutil.copy(copies["llava"] / "config.json", folder)
    for path in (folder, copies["llava"]):
        error = refusal(path, "llava")
        assert "LLaVA in its authors' format" in error.what
        assert str(error.fix).endswith(f"--set models.llava={BASES['llava']}")


def test_a_clip_for_transformers_is_recognised(tmp_path: Path) -> None:
    put(tmp_path / "clip", "model.safetensors")
    (tmp_path / "clip" / "config.json").write_text('{"model_type": "clip"}')
    error = refusal(tmp_path / "clip", "clip")
    assert "CLIP in transformers' format" in error.what and "models.clip=openai" in str(error.fix)


@pytest.mark.parametrize("part", ["diffusion", "clip", "llava"])
def test_pickles_are_converted_as_suggested(
    part: str, copies: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    folder = copies[part]
    weights = {"diffusion": UNET, "clip": "open_clip_model.safetensors", "llava": ""}[part]
    files = [folder / weights] if weights else sorted(folder.glob("model*.safetensors"))
    tensors = {name: tensor for file in files for name, tensor in load_file(file).items()}
    pickled = {"clip": "open_clip_pytorch_model.bin", "llava": "pytorch_model.bin"}
    torch.save(tensors, folder / pickled.get(part, UNET.replace(".safetensors", ".bin")))
    for file in [*files, *folder.glob("model.safetensors.index.json")]:
        file.unlink()
    new = run_fix(refusal(folder, part), folder, tmp_path / "new")
    value = f"local-dir:{folder}" if part == "clip" else str(new)
    assert find.find(ModelSettings(**{part: value}), part, cache)


def test_another_class_is_detected_before_its_weights_are_fetched(
    hub: Hub, copies: dict[str, Path], home: Path
) -> None:
    change(copies["diffusion"] / "model_index.json", _class_name="StableDiffusionXLPipeline")
    hub.folders["someone/xl", commit("8")] = copies["diffusion"]
    hub.newest["someone/xl"] = commit("8")
    with pytest.raises(UvlpError) as caught:
        find.fetch(ModelSettings(diffusion="someone/xl"), ["diffusion"], Progress())
    assert "Stable Diffusion XL" in caught.value.what
    assert hub.asked and not any(name.endswith(".safetensors") for name, _ in hub.asked)


def test_a_path_with_quotes_is_quoted_in_the_command(copies: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "mine" $HOME'
    shutil.copytree(copies["diffusion"] / "unet", folder)
    import shlex

    arguments = shlex.split(str(refusal(folder).fix).partition("NEW: ")[2])
    assert arguments[:2] == ["python", "-c"] and len(arguments) == 3
    compile(arguments[2], "command", "exec")
    assert repr(str(folder)) in arguments[2]


def test_the_folder_of_a_clip_without_prefix_suggests_it(copies: dict[str, Path]) -> None:
    with pytest.raises(UvlpError) as caught:
        find.needed(ModelSettings(clip=str(copies["clip"])), ["clip"])
    assert caught.value.fix == f"did you mean local-dir:{copies['clip']}?"
