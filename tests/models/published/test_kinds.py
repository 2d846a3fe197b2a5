"""What else people have where a published model is wanted: told by what it is, with a command that works."""

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
    """The error for a path in the place of a model."""
    name = "diffusion" if part == "autoencoder" else part
    value = f"local-dir:{path}" if part == "clip" else str(path)
    with pytest.raises(UvlpError) as caught:
        find.needed(ModelSettings(**{name: value}), [part])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    return caught.value


def carried_out(error: UvlpError, base: Path, new: Path) -> Path:
    """Run the suggested command's code with a tiny base model; its `NEW`."""
    command = re.search(r'python -c "([^"]+)"$', error.fix or "")
    assert command is not None, error.fix
    code = command[1].replace("'NEW'", repr(str(new)))
    for repository in BASES.values():
        code = code.replace(repr(repository), repr(str(base)))
    with quiet():
        exec(code, {})
    return new


def moved(copies: dict[str, Path], *keep: str) -> Path:
    """A folder with a few of the pipeline's parts."""
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
def test_lora_weights(name: str, given: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "lora")
    folder.mkdir()
    save_file(LORA, folder / name)
    error = refusal(folder if given == "folder" else folder / name)
    assert "holds LoRA weights, not a pipeline" in error.what or "is LoRA weights, not" in error.what
    steps = (
        "load_lora_weights",
        "fuse_lora",
        "unload_lora_weights",
        "save_pretrained",
        f"weight_name='{name}'",
    )
    assert [step for step in steps if step not in str(error.fix)] == []


def test_lora_weights_beside_a_whole_pipeline_would_be_passed_over(copies: dict[str, Path]) -> None:
    save_file(LORA, copies["diffusion"] / "pytorch_lora_weights.safetensors")
    assert "LoRA weights" in refusal(copies["diffusion"]).what


@pytest.mark.parametrize(
    ("config", "part", "words"),
    [
        ({"target_modules": ["to_q", "to_v"]}, "diffusion", "p.unet = P.from_pretrained(p.unet,"),
        ({"base_model_name_or_path": BASES["llava"]}, "llava", "AutoProcessor"),
        ({"base_model_name_or_path": "lmsys/vicuna-7b-v1.5"}, "llava", "name the converted repository"),
        ({"target_modules": "q_proj"}, "clip", "merge them into their base model"),
    ],
)
def test_an_adapter_of_peft(config: dict[str, Any], part: str, words: str, tmp_path: Path) -> None:
    put(tmp_path / "a", "adapter_model.safetensors")
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config))
    error = refusal(tmp_path / "a", part)
    assert "LoRA weights in PEFT's form" in error.what and words in str(error.fix)


@pytest.mark.parametrize("unet", ["unet", "unet_ema"])
def test_the_checkpoint_of_a_training(
    unet: str, copies: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    put(tmp_path / "out", "logs/x")
    folder = moved(copies, "unet").rename(tmp_path / "out" / "checkpoint-500")
    put(folder, "optimizer.bin", "scheduler.bin", "random_states_0.pkl")
    (folder / "unet").rename(folder / unet)
    weights = folder / unet / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    for named in (folder, folder.parent):
        error = refusal(named)
        assert "checkpoint" in error.what and "of a training" in error.what
    made = carried_out(error, copies["diffusion"], tmp_path / "new")
    assert find.find(ModelSettings(diffusion=str(made)), "diffusion", cache)
    name = "conv_in.weight"
    new, old = load_file(made / UNET)[name], load_file(copies["diffusion"] / UNET)[name]
    assert torch.equal(new, old + 1)


def test_a_training_that_came_to_its_end_is_a_pipeline(copies: dict[str, Path]) -> None:
    put(copies["diffusion"], "checkpoint-500/optimizer.bin", "checkpoint-500/unet/config.json")
    assert find.needed(ModelSettings(diffusion=str(copies["diffusion"])), ["diffusion"]) == {}


@pytest.mark.parametrize("files", [("optimizer.bin", "pytorch_model.bin"), ("trainer_state.json", "rng.pth")])
def test_a_checkpoint_without_a_network(files: tuple[str, ...], tmp_path: Path) -> None:
    for part in ("diffusion", "llava"):
        error = refusal(put(tmp_path / "run", *files), part)
        assert "the checkpoint of a training" in error.what and "python" not in str(error.fix)


@pytest.mark.parametrize(("part", "top"), [("unet", True), ("unet", False), ("vae", True), ("vae", False)])
def test_a_network_alone(part: str, top: bool, copies: dict[str, Path], cache: Path, tmp_path: Path) -> None:
    folder = moved(copies, part)
    error = refusal(folder / part if top else folder)
    assert "alone, not a pipeline" in error.what
    made = carried_out(error, copies["diffusion"], tmp_path / "new")
    assert find.find(ModelSettings(diffusion=str(made)), "diffusion", cache)


def test_the_checkpoint_of_a_training_of_two_networks(
    copies: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    folder = put(moved(copies, "unet", "text_encoder"), "optimizer.bin")
    made = carried_out(refusal(folder), copies["diffusion"], tmp_path / "new")
    assert find.find(ModelSettings(diffusion=str(made)), "diffusion", cache)
    assert "subfolder='text_encoder'" in str(refusal(folder).fix)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("lora_unet_x.hada_w1_a", "LyCORIS"),
        ("lora_te2_x.lora_down.weight", "LoRA weights for Stable Diffusion XL"),
    ],
)
def test_other_weights_of_low_rank_have_no_command(tensor: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    save_file({tensor: torch.zeros(1)}, tmp_path / "x" / "style.safetensors")
    error = refusal(tmp_path / "x")
    assert words in error.what and "python" not in str(error.fix)


def test_models_for_transformers_and_pickles_alone(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, put(tmp_path / "llm", "a.txt") / "model.safetensors")
    (tmp_path / "llm" / "config.json").write_text('{"model_type": "llama"}')
    assert "a model for transformers (llama)" in refusal(tmp_path / "llm").what
    assert "pickled weights" in refusal(put(tmp_path / "h", "h.pt")).what
    error = refusal(put(tmp_path / "c", "epoch_32.pt"), "clip")
    assert "without open_clip_config.json" in error.what and "models.clip=openai" in str(error.fix)
    hub = put(tmp_path / "hub", "models--a--b/refs/main")
    assert "the folder of the hub's library" in refusal(hub).what and "a/b" in str(refusal(hub).fix)


def test_other_networks(tmp_path: Path) -> None:
    for name, words in (("ControlNetModel", "a ControlNet alone"), ("PixArtTransformer2DModel", "alone")):
        put(tmp_path / name, "diffusion_pytorch_model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"_class_name": name}))
        assert words in refusal(tmp_path / name).what
    assert "a textual inversion" in refusal(put(tmp_path / "word", "learned_embeds.safetensors")).what


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "lies here as one file"),
        ("conditioner.embedders.0.x", "Stable Diffusion XL in one file"),
        ("cond_stage_model.model.x", "Stable Diffusion 2 in one file"),
        ("control_model.x", "a ControlNet in one file"),
        ("anything.x", "a file of weights without a configuration (tensors that begin anything)"),
    ],
)
def test_one_file(begin: str, words: str, tmp_path: Path) -> None:
    tensors = {begin: torch.zeros(1), "model.diffusion_model.y": torch.zeros(1)}
    if begin.startswith("anything"):
        del tensors["model.diffusion_model.y"]
    put(tmp_path / "one").mkdir()
    save_file(tensors, tmp_path / "one" / "model.safetensors")
    for path in (tmp_path / "one", tmp_path / "one" / "model.safetensors"):
        error = refusal(path)
        assert words in error.what
        assert ("from_single_file" in str(error.fix)) == ("lies here" in words)


def test_a_variant_alone(copies: dict[str, Path], cache: Path, tmp_path: Path) -> None:
    """Of one network, then of all."""
    folder = copies["diffusion"]
    for number, name in enumerate((UNET, UNET.replace("unet", "vae"), "text_encoder/model.safetensors")):
        weights = folder / name
        save_file({key: tensor.half() for key, tensor in load_file(weights).items()}, weights)
        weights.rename(weights.with_suffix(".fp16.safetensors"))
        if number != 1:
            error = refusal(folder)
            assert "its weights are of the variant fp16 alone" in error.what
            made = carried_out(error, folder, tmp_path / f"new{number}")
            assert find.find(ModelSettings(diffusion=str(made)), "diffusion", cache)


@pytest.mark.parametrize(
    ("part", "file"), [("diffusion", UNET), ("llava", "model-00001-of-00005.safetensors"), ("clip", "")]
)
def test_pointers_of_git(part: str, file: str, copies: dict[str, Path]) -> None:
    folder = copies[part]
    name = file or "open_clip_model.safetensors"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4\n"
    put(folder, name, content=pointer.encode())
    error = refusal(folder, part)
    assert f"Git LFS left pointers in place of 1 files: {name}" == error.what
    assert "`git lfs pull`" in str(error.fix)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unet/model.onnx", "ONNX"),
        ("unet/diffusion_flax_model.msgpack", "Flax"),
        ("tf_model.h5", "TensorFlow"),
        ("sd-v1-5-q4.gguf", "GGUF"),
    ],
)
def test_weights_of_other_libraries(name: str, words: str, tmp_path: Path) -> None:
    error = refusal(put(tmp_path / "x", name))
    assert "weights in" in error.what and words in error.what and error.got == str(tmp_path / "x" / name)


def test_the_folder_of_the_hubs_library(originals: dict[str, Path], home: Path) -> None:
    snapshot = fake_hub.place(home / "hub", "some/sd", commit("a"), originals["diffusion"])
    for folder in (snapshot.parents[1], snapshot.parent):
        error = refusal(folder)
        assert "the hub library's folder of some/sd" in error.what
        assert error.fix == f"name one of its revisions: {snapshot}"


def test_a_folder_too_many(copies: dict[str, Path]) -> None:
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
def test_llava_of_its_authors(fields: dict[str, Any], copies: dict[str, Path], tmp_path: Path) -> None:
    """Told before its weights are called pickled, and without a conversion that fills it with noise."""
    change(copies["llava"] / "config.json", **fields)
    folder = put(tmp_path / "authors", "pytorch_model-00001-of-00002.bin")
    shutil.copy(copies["llava"] / "config.json", folder)
    for path in (folder, copies["llava"]):
        error = refusal(path, "llava")
        assert "LLaVA in its authors' own format" in error.what
        assert error.fix == f"name the converted repository: --set models.llava={BASES['llava']}"


def test_clip_of_transformers(tmp_path: Path) -> None:
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
    made = carried_out(refusal(folder, part), folder, tmp_path / "new")
    there = folder if part == "clip" else made
    value = f"local-dir:{there}" if part == "clip" else str(there)
    assert find.find(ModelSettings(**{part: value}), part, cache)


def test_another_class_is_known_before_its_weights_are_fetched(
    hub: Hub, copies: dict[str, Path], home: Path
) -> None:
    change(copies["diffusion"] / "model_index.json", _class_name="StableDiffusionXLPipeline")
    hub.folders["someone/xl", commit("8")] = copies["diffusion"]
    hub.newest["someone/xl"] = commit("8")
    with pytest.raises(UvlpError, match="Stable Diffusion XL"):
        find.fetch(ModelSettings(diffusion="someone/xl"), ["diffusion"], Progress())
    assert hub.asked and not any(name.endswith(".safetensors") for name, _ in hub.asked)


def test_a_path_with_quotes_is_one_word_of_the_command(copies: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "mine" $HOME'
    shutil.copytree(copies["diffusion"] / "unet", folder)
    import shlex

    words = shlex.split(str(refusal(folder).fix).partition("NEW: ")[2])
    assert words[:2] == ["python", "-c"] and len(words) == 3
    compile(words[2], "command", "exec")
    assert repr(str(folder)) in words[2]


class _Tower(torch.nn.Module):
    """Tensors with the names of a CLIP; calling it is nothing that any test does."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            inner: torch.nn.Module = self
            for part in path:
                if not hasattr(inner, part):
                    inner.add_module(part, torch.nn.Module())
                inner = getattr(inner, part)
            inner.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
        self.register_buffer("context_length", torch.tensor(77))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def torchscript(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """The tensors in the form in which OpenAI publishes CLIP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.script(_Tower(tensors)).save(str(path))
    return path


SOME = {"visual.proj": torch.zeros(2, 3), "text_projection": torch.zeros(3, 3)}
PROGRAM = "a TorchScript archive, a program with its weights, not "


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.parametrize("value", ["{}", "local-dir:{}", "local-dir:{folder}", "{folder}"])
def test_openais_own_file_of_clip(value: str, tmp_path: Path) -> None:
    path = torchscript(tmp_path / "clip" / "ViT-L-14.pt", SOME)
    named = value.format(path, folder=path.parent)
    with pytest.raises(UvlpError) as caught:
        find.needed(ModelSettings(clip=named), ["clip"])
    error = caught.value
    assert error.what.endswith(f"{PROGRAM}a CLIP for open_clip") and error.got == str(path)
    assert "models.clip=openai" in str(error.fix)


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
def test_openais_own_form_beside_a_configuration(copies: dict[str, Path], cache: Path) -> None:
    folder = copies["clip"]
    weights = folder / "open_clip_model.safetensors"
    path = torchscript(folder / "ViT-L-14.pt", load_file(weights))
    weights.unlink()
    error = refusal(folder, "clip")
    assert error.what.endswith(f"{PROGRAM}a CLIP for open_clip") and error.got == str(path)
    carried_out(error, folder, folder)
    assert find.find(ModelSettings(clip=f"local-dir:{folder}"), "clip", cache)


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.parametrize("part", ["diffusion", "llava"])
def test_a_program_in_place_of_other_models(part: str, tmp_path: Path) -> None:
    path = torchscript(tmp_path / "x" / "model.pt", SOME)
    assert PROGRAM in refusal(path, part).what and PROGRAM in refusal(path.parent, part).what


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
def test_a_program_under_the_name_of_weights(copies: dict[str, Path]) -> None:
    for part, name in (("clip", "open_clip_model.safetensors"), ("diffusion", UNET)):
        torchscript(copies[part] / name, SOME)
        error = refusal(copies[part], part)
        assert error.what.endswith(f"{PROGRAM}a safetensors file") and error.got == str(copies[part] / name)


def test_a_folder_of_a_clip_without_its_form_in_front(copies: dict[str, Path]) -> None:
    with pytest.raises(UvlpError) as caught:
        find.needed(ModelSettings(clip=str(copies["clip"])), ["clip"])
    assert caught.value.fix == f"did you mean local-dir:{copies['clip']}?"
