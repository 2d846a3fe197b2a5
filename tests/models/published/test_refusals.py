"""Published models that are missing, damaged or others are refused by name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import fake_hub, tiny_models
from tests.fake_hub import Hub, commit
from tests.models.published.copies import HUB, change, fill, local, refused
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.published import find
from uvlp.models.published.layout import LAYOUTS
from uvlp.recipes.schema import ModelSettings


def test_a_missing_repository_of_unknown_size_says_how_to_log_in(cache: Path) -> None:
    text = refused(lambda: find.find(HUB, "diffusion", cache))
    assert all(word in text for word in ("some/sd", commit("a"), "unknown size", "HF_TOKEN"))


def test_another_revision_is_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fill(home, originals)
    text = refused(lambda: find.find(replace(HUB, diffusion_revision=commit("9")), "diffusion", cache))
    assert commit("9") in text and commit("a") in text


def test_the_newest_revision_is_recorded_and_kept(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    first = find.find(HUB, "clip", cache)
    assert json.loads((home / "uvlp_revisions.json").read_text()) == {"some/clip.openai": commit("b")}
    fake_hub.place(home / "hub", "some/clip.openai", commit("e"), originals["clip"])
    text = refused(lambda: find.find(HUB, "clip", cache))
    assert f"got '{commit('e')}'" in text and f"allowed: {commit('b')}" in text
    assert f"--set models.clip_revision={commit('b')}" in text
    assert find.find(replace(HUB, clip_revision=commit("b")), "clip", cache) == first
    assert find.find(replace(HUB, clip_revision="main"), "clip", cache).revision == commit("e")


@pytest.mark.parametrize("part", find.PARTS)
def test_a_truncated_file_is_named(part: str, copies: dict[str, Path], cache: Path) -> None:
    kind = "diffusion" if part == "autoencoder" else part
    files = copies[kind].rglob("vae/*" if part == "autoencoder" else "*")
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    text = refused(lambda: find.find(local(copies), part, cache))
    assert "truncated" in text and str(path) in text


def test_a_damaged_file_is_fetched_again_as_the_error_says(hub: Hub, home: Path, cache: Path) -> None:
    find.fetch(HUB, ["llava"], Progress())
    snapshot = Path(find.find(HUB, "llava", cache).place)
    shard = sorted(snapshot.glob("model-0*.safetensors"))[2]
    shard.write_bytes(shard.read_bytes()[:-5])
    text = refused(lambda: find.find(HUB, "llava", cache))
    told = re.search(r"delete (\S+) and run `uvlp fetch llava", text)
    assert told is not None and str(shard) in text
    Path(told[1]).unlink()
    hub.asked.clear()
    find.fetch(HUB, ["llava"], Progress())
    assert [name for name, _ in hub.asked] == [shard.name]
    assert find.find(HUB, "llava", cache)


def test_shards_that_were_never_fetched_are_fetched(hub: Hub, home: Path, cache: Path) -> None:
    find.fetch(HUB, ["llava"], Progress())
    snapshot = Path(find.find(HUB, "llava", cache).place)
    for shard in sorted(snapshot.glob("model-0*.safetensors"))[1:]:
        shard.resolve().unlink()
        shard.unlink()
    assert "model-00002-of" in refused(lambda: find.find(HUB, "llava", cache))
    assert list(find.needed(HUB, ["llava"])) == ["llava"]
    find.fetch(HUB, ["llava"], Progress())
    assert find.find(HUB, "llava", cache)


def test_other_bytes_than_published_are_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fill(home, originals)
    snapshot = home / "hub" / "models--some--sd" / "snapshots" / commit("a")
    blob = (snapshot / "vae" / "diffusion_pytorch_model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x07")
    text = refused(lambda: find.find(HUB, "autoencoder", cache))
    assert (
        "other bytes" in text
        and "delete" in text
        and "uvlp fetch autoencoder --set models.diffusion=some/sd" in text
    )


def test_a_link_without_its_file_counts_as_missing(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    snapshot = home / "hub" / "models--some--sd" / "snapshots" / commit("a")
    (snapshot / "vae" / "diffusion_pytorch_model.safetensors").resolve().unlink()
    text = refused(lambda: find.find(HUB, "diffusion", cache))
    assert "vae/diffusion_pytorch_model.safetensors missing" in text and "fetches the rest" in text
    assert list(find.needed(HUB, ["diffusion"])) == ["diffusion"]


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("diffusion", "model_index.json"),
        ("diffusion", "scheduler/scheduler_config.json"),
        ("diffusion", "tokenizer/tokenizer.json"),
        ("autoencoder", "vae/config.json"),
        ("clip", "open_clip_config.json"),
        ("llava", "config.json"),
        ("llava", "processor_config.json"),
        ("llava", "tokenizer.json"),
        ("llava", "model.safetensors.index.json"),
    ],
)
def test_a_missing_file_is_named(part: str, file: str, copies: dict[str, Path], cache: Path) -> None:
    folder = copies["diffusion" if part == "autoencoder" else part]
    (folder / file).unlink()
    text = refused(lambda: find.find(local(copies), part, cache))
    assert f"{file}" in text and "missing" in text and str(folder) in text
    assert refused(lambda: find.needed(local(copies), [part])) == text


def test_a_missing_shard_is_named(copies: dict[str, Path], cache: Path) -> None:
    shard = sorted(copies["llava"].glob("model-0*.safetensors"))[1]
    shard.unlink()
    text = refused(lambda: find.find(local(copies), "llava", cache))
    assert shard.name in text and str(copies["llava"]) in text


def test_shards_that_were_swapped_are_named(copies: dict[str, Path], cache: Path) -> None:
    one, two = sorted(copies["llava"].glob("model-0*.safetensors"))[:2]
    shutil.copyfile(one, two)
    assert "lacks the tensor" in refused(lambda: find.find(local(copies), "llava", cache))


def test_a_garbled_configuration_is_named(copies: dict[str, Path], cache: Path) -> None:
    path = copies["diffusion"] / "unet" / "config.json"
    path.write_text("{")
    assert str(path) in refused(lambda: find.find(local(copies), "diffusion", cache))


@pytest.mark.parametrize(
    ("part", "file"),
    [("clip", "open_clip_config.json"), ("llava", "config.json"), ("llava", "model.safetensors.index.json")],
)
def test_a_configuration_of_another_form_is_named(
    part: str, file: str, copies: dict[str, Path], cache: Path
) -> None:
    path = copies[part] / file
    path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()))))
    assert str(path) in refused(lambda: find.find(local(copies), part, cache))


@pytest.mark.parametrize(
    ("file", "fields", "words"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "Stable Diffusion XL"),
        ("model_index.json", {"_class_name": "StableDiffusionInpaintPipeline"}, "an inpainting model"),
        ("model_index.json", {"_class_name": "WuerstchenDecoderPipeline"}, "WuerstchenDecoderPipeline"),
        ("unet/config.json", {"in_channels": 9}, "an inpainting model"),
        ("unet/config.json", {"in_channels": 8}, "in_channels"),
        ("unet/config.json", {"use_linear_projection": True}, "Stable Diffusion 2"),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "Stable Diffusion XL"),
        ("unet/config.json", {"_class_name": "UNet2DModel"}, "UNet2DModel"),
        ("unet/config.json", {"cross_attention_dim": 1024}, "cross_attention_dim"),
        ("text_encoder/config.json", {"hidden_size": 48}, "cross_attention_dim"),
        ("vae/config.json", {"latent_channels": 16}, "latent_channels"),
        ("vae/config.json", {"_class_name": "AutoencoderTiny"}, "AutoencoderTiny"),
        ("scheduler/scheduler_config.json", {"prediction_type": "v_prediction"}, "Stable Diffusion 2"),
    ],
)
def test_a_cousin_of_stable_diffusion_is_named(
    file: str, fields: dict[str, Any], words: str, copies: dict[str, Path], cache: Path
) -> None:
    change(copies["diffusion"] / file, **fields)
    text = refused(lambda: find.find(local(copies), "diffusion", cache))
    assert "this is" in text and "not" in text and words in text


def test_weights_of_an_inpainting_model_under_a_changed_configuration(
    copies: dict[str, Path], cache: Path
) -> None:
    path = copies["diffusion"] / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"conv_in.weight": torch.zeros(8, 9, 3, 3)}, path)
    assert "conv_in.weight" in refused(lambda: find.find(local(copies), "diffusion", cache))


def test_clip_without_quick_gelu_is_refused(originals: dict[str, Path], home: Path, tmp_path: Path) -> None:
    plain = tiny_models.clip(tmp_path / "plain", quick_gelu=False)
    models = ModelSettings(clip=f"local-dir:{plain}")
    text = refused(lambda: find.find(models, "clip", tmp_path))
    assert '"quick_gelu"' in text and str(plain / "open_clip_config.json") in text
    fake_hub.place(home / "hub", "some/clip.openai", commit("b"), plain)
    assert "these are OpenAI's weights" in refused(lambda: find.find(HUB, "clip", tmp_path))
    fake_hub.place(home / "hub", "laion/clip", commit("b"), plain)
    assert find.find(replace(HUB, clip="hf-hub:laion/clip"), "clip", tmp_path)
    config = json.loads((plain / "open_clip_config.json").read_text())
    change(plain / "open_clip_config.json", model_cfg=config["model_cfg"] | {"quick_gelu": False})
    assert find.find(models, "clip", tmp_path), "who says false means it"


@pytest.mark.parametrize(
    ("field", "value"),
    [("embed_dim", 64), ("text_cfg", {"width": 48, "context_length": 77, "vocab_size": 1})],
)
def test_clip_of_other_sizes_is_refused(field: str, value: Any, copies: dict[str, Path], cache: Path) -> None:
    path = copies["clip"] / "open_clip_config.json"
    config = json.loads(path.read_text())
    change(path, model_cfg=config["model_cfg"] | {field: value})
    text = refused(lambda: find.find(local(copies), "clip", cache))
    assert "not the CLIP of its configuration" in text and "its weights" in text


@pytest.mark.parametrize(
    ("kind", "words"), [("llava_next", "LLaVA-1.6"), ("llava_llama", "llava-hf"), ("llama", "'llama'")]
)
def test_another_language_model_is_named(kind: str, words: str, copies: dict[str, Path], cache: Path) -> None:
    change(copies["llava"] / "config.json", model_type=kind)
    text = refused(lambda: find.find(local(copies), "llava", cache))
    assert words in text and "model_type" in text


@pytest.mark.parametrize(
    ("part", "weights", "pickle"),
    [
        ("diffusion", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"),
        ("autoencoder", "vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"),
        ("clip", "open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        ("llava", "", "pytorch_model-00001-of-00002.bin"),
    ],
)
def test_pickles_are_refused_with_a_conversion(
    part: str, weights: str, pickle: str, copies: dict[str, Path], cache: Path
) -> None:
    folder = copies["diffusion" if part == "autoencoder" else part]
    for path in [folder / weights] if weights else list(folder.glob("model*.safetensors*")):
        path.unlink()
    (folder / pickle).write_bytes(b"\x80\x02")
    text = refused(lambda: find.find(local(copies), part, cache))
    assert str(folder / pickle) in text and "allowed: safetensors" in text
    command = re.search(r'python -c "([^"]+)"', text)
    assert command is not None and str(folder) in command[1]
    compile(command[1], "conversion", "exec")


def test_a_variant_and_a_single_file_are_told(copies: dict[str, Path], tmp_path: Path, cache: Path) -> None:
    unet = copies["diffusion"] / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.fp16.safetensors")
    text = refused(lambda: find.find(local(copies), "diffusion", cache))
    assert "its weights are of the variant fp16 alone" in text
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "v1-5-pruned.ckpt").write_bytes(b"")
    models = ModelSettings(diffusion=str(tmp_path / "one"))
    text = refused(lambda: find.find(models, "diffusion", cache))
    assert "one file" in text and "from_single_file" in text


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"diffusion": "/no/such/folder"}, "diffusion"),
        ({"diffusion": "three/part/name"}, "diffusion"),
        ({"diffusion": "has blanks"}, "autoencoder"),
        ({"clip": "ViT-L-14"}, "clip"),
        ({"clip": "local-dir:/no/such"}, "clip"),
        ({"clip": "local-dir:"}, "clip"),
        ({"clip": "hf-hub:"}, "clip"),
        ({"llava": "~/no-such-llava"}, "llava"),
    ],
)
def test_a_setting_that_names_nothing(fields: dict[str, str], part: str, cache: Path) -> None:
    text = refused(lambda: find.find(replace(ModelSettings(), **fields), part, cache))

    ((name, value),) = fields.items()
    assert f"models.{name}" in text and value.removeprefix("local-dir:") in text


@pytest.mark.parametrize(
    ("wanted", "there"), [("diffusion", "clip"), ("clip", "llava"), ("llava", "diffusion")]
)
def test_the_folder_of_another_model_is_told(
    wanted: str, there: str, copies: dict[str, Path], cache: Path
) -> None:
    folder = f"local-dir:{copies[there]}" if wanted == "clip" else str(copies[there])
    text = refused(lambda: find.find(replace(local(copies), **{wanted: folder}), wanted, cache))
    assert f"is not in this folder, which holds {LAYOUTS[there].title}" in text
    assert f"name the folder with {LAYOUTS[wanted].title}" in text


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("diffusion", "unet/diffusion_pytorch_model.safetensors"),
        ("diffusion", "unet/config.json"),
        ("diffusion", "tokenizer/tokenizer.json"),
        ("clip", "open_clip_model.safetensors"),
        ("llava", "model.safetensors.index.json"),
        ("llava", "tokenizer.json"),
    ],
)
@pytest.mark.parametrize(
    ("content", "title", "fix"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS", "git lfs pull"),
        ("<!doctype html><html>log in</html>", "HTML page", "download it again"),
    ],
)
def test_what_stands_in_place_of_a_file_is_named(
    part: str, file: str, content: str, title: str, fix: str, copies: dict[str, Path], cache: Path
) -> None:
    (copies[part] / file).write_text(content, encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        find.find(local(copies), part, cache)
    assert title in caught.value.what
    assert str(caught.value.got) in (str(copies[part]), str(copies[part] / file))
    assert fix in str(caught.value.fix)


@pytest.mark.parametrize("part", ["diffusion", "clip", "llava"])
def test_a_named_pipe_is_no_file_of_a_model(part: str, copies: dict[str, Path], cache: Path) -> None:
    for path in sorted(path for path in copies[part].rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with contextlib.suppress(UvlpError):  # what the file is for decides on the words
            find.find(local(copies), part, cache)
        path.unlink()
        path.write_bytes(content)
    assert find.find(local(copies), part, cache)


def test_a_configuration_that_is_nested_without_end(copies: dict[str, Path], cache: Path) -> None:
    (copies["clip"] / "open_clip_config.json").write_text("[" * 10**6, encoding="utf-8")
    assert "cannot be read as JSON" in refused(lambda: find.find(local(copies), "clip", cache))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_numbers_are_named_before_anything_runs(
    dtype: torch.dtype, value: float, copies: dict[str, Path], cache: Path
) -> None:
    path = copies["diffusion"] / "vae" / "diffusion_pytorch_model.safetensors"
    weights = {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
    name = sorted(weights)[5]
    weights[name].view(-1)[-1] = value
    save_file(weights, path)
    for _ in range(2):  # and again: the file is not remembered as a good one
        with pytest.raises(UvlpError) as caught:
            find.find(local(copies), "autoencoder", cache)
        assert caught.value.what.endswith(f"tensor {name}")
        assert caught.value.got == str(path)


def test_whole_numbers_and_large_ones_are_numbers(copies: dict[str, Path], cache: Path) -> None:
    path = copies["diffusion"] / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights[min(weights)].view(-1)[0] = torch.finfo(torch.float32).max
    save_file(weights, path)
    assert find.find(local(copies), "autoencoder", cache)
