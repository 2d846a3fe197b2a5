"""Published models that are missing, damaged or of another architecture are refused."""

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


def test_a_missing_repository_of_unknown_size_suggests_a_token(cache: Path) -> None:
    error = refused(lambda: find.find(HUB, "diffusion", cache))
    assert error.got == f"some/sd at {commit('a')}"
    assert "unknown size" in str(error.fix) and "HF_TOKEN" in str(error.fix)


def test_another_revision_is_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fill(home, originals)
    error = refused(lambda: find.find(replace(HUB, diffusion_revision=commit("9")), "diffusion", cache))
    assert commit("9") in str(error.got) and commit("a") in error.what


def test_the_newest_revision_is_recorded_and_kept(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    first = find.find(HUB, "clip", cache)
    assert json.loads((home / "uvlp_revisions.json").read_text()) == {"some/clip.openai": commit("b")}
    fake_hub.place(home / "hub", "some/clip.openai", commit("e"), originals["clip"])
    error = refused(lambda: find.find(HUB, "clip", cache))
    assert (error.got, error.allowed) == (commit("e"), commit("b"))
    assert f"--set models.clip_revision={commit('b')}" in str(error.fix)
    assert find.find(replace(HUB, clip_revision=commit("b")), "clip", cache) == first
    assert find.find(replace(HUB, clip_revision="main"), "clip", cache).revision == commit("e")


@pytest.mark.parametrize("part", find.PARTS)
def test_a_truncated_file_is_refused(part: str, copies: dict[str, Path], cache: Path) -> None:
    kind = "diffusion" if part == "autoencoder" else part
    files = copies[kind].rglob("vae/*" if part == "autoencoder" else "*")
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    error = refused(lambda: find.find(local(copies), part, cache))
    assert "truncated" in error.what and str(path) in str(error)


def test_the_suggested_fix_fetches_a_damaged_file_again(hub: Hub, home: Path, cache: Path) -> None:
    find.fetch(HUB, ["llava"], Progress())
    snapshot = Path(find.find(HUB, "llava", cache).path)
    shard = sorted(snapshot.glob("model-0*.safetensors"))[2]
    shard.write_bytes(shard.read_bytes()[:-5])
    error = refused(lambda: find.find(HUB, "llava", cache))
    match = re.search(r"delete (\S+) and run `uvlp fetch llava", str(error.fix))
    assert match is not None and str(shard) in str(error)
    Path(match[1]).unlink()
    hub.asked.clear()
    find.fetch(HUB, ["llava"], Progress())
    assert [name for name, _ in hub.asked] == [shard.name]
    assert find.find(HUB, "llava", cache)


def test_missing_shards_are_fetched(hub: Hub, home: Path, cache: Path) -> None:
    find.fetch(HUB, ["llava"], Progress())
    snapshot = Path(find.find(HUB, "llava", cache).path)
    for shard in sorted(snapshot.glob("model-0*.safetensors"))[1:]:
        shard.resolve().unlink()
        shard.unlink()
    assert "model-00002-of" in refused(lambda: find.find(HUB, "llava", cache)).what
    assert list(find.needed(HUB, ["llava"])) == ["llava"]
    find.fetch(HUB, ["llava"], Progress())
    assert find.find(HUB, "llava", cache)


def test_a_file_that_differs_from_the_published_one_is_refused(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    snapshot = home / "hub" / "models--some--sd" / "snapshots" / commit("a")
    blob = (snapshot / "vae" / "diffusion_pytorch_model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x07")
    error = refused(lambda: find.find(HUB, "autoencoder", cache))
    assert "vae/diffusion_pytorch_model.safetensors" in error.what and str(error.fix).startswith("delete ")
    assert "uvlp fetch autoencoder --set models.diffusion=some/sd" in str(error.fix)


def test_a_broken_link_counts_as_missing(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fill(home, originals)
    snapshot = home / "hub" / "models--some--sd" / "snapshots" / commit("a")
    (snapshot / "vae" / "diffusion_pytorch_model.safetensors").resolve().unlink()
    error = refused(lambda: find.find(HUB, "diffusion", cache))
    assert "vae/diffusion_pytorch_model.safetensors missing" in error.what
    assert "fetches the rest" in str(error.fix)
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
    error = refused(lambda: find.find(local(copies), part, cache))
    assert file in error.what and "missing" in error.what and error.got == str(folder)
    assert str(refused(lambda: find.needed(local(copies), [part]))) == str(error)


def test_a_missing_shard_is_named(copies: dict[str, Path], cache: Path) -> None:
    shard = sorted(copies["llava"].glob("model-0*.safetensors"))[1]
    shard.unlink()
    error = refused(lambda: find.find(local(copies), "llava", cache))
    assert shard.name in error.what and error.got == str(copies["llava"])


def test_swapped_shards_are_refused(copies: dict[str, Path], cache: Path) -> None:
    one, two = sorted(copies["llava"].glob("model-0*.safetensors"))[:2]
    shutil.copyfile(one, two)
    assert "lacks the tensor" in refused(lambda: find.find(local(copies), "llava", cache)).what


def test_an_invalid_configuration_is_refused(copies: dict[str, Path], cache: Path) -> None:
    path = copies["diffusion"] / "unet" / "config.json"
    path.write_text("{")
    assert refused(lambda: find.find(local(copies), "diffusion", cache)).got == str(path)


@pytest.mark.parametrize(
    ("part", "file"),
    [("clip", "open_clip_config.json"), ("llava", "config.json"), ("llava", "model.safetensors.index.json")],
)
def test_a_configuration_with_null_fields_is_refused(
    part: str, file: str, copies: dict[str, Path], cache: Path
) -> None:
    path = copies[part] / file
    path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()))))
    assert str(path) in str(refused(lambda: find.find(local(copies), part, cache)))


@pytest.mark.parametrize(
    ("file", "fields", "text"),
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
def test_a_model_related_to_stable_diffusion_is_refused(
    file: str, fields: dict[str, Any], text: str, copies: dict[str, Path], cache: Path
) -> None:
    change(copies["diffusion"] / file, **fields)
    error = refused(lambda: find.find(local(copies), "diffusion", cache))
    assert error.what.startswith("this is ") and text in f"{error.what} {error.got}"


def test_weights_of_an_inpainting_model_with_a_changed_configuration_are_refused(
    copies: dict[str, Path], cache: Path
) -> None:
    path = copies["diffusion"] / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"conv_in.weight": torch.zeros(8, 9, 3, 3)}, path)
    assert "conv_in.weight" in str(refused(lambda: find.find(local(copies), "diffusion", cache)).got)


def test_clip_without_quick_gelu_is_refused(originals: dict[str, Path], home: Path, tmp_path: Path) -> None:
    plain = tiny_models.clip(tmp_path / "plain", quick_gelu=False)
    models = ModelSettings(clip=f"local-dir:{plain}")
    error = refused(lambda: find.find(models, "clip", tmp_path))
    assert '"quick_gelu"' in error.what and str(plain / "open_clip_config.json") in error.what
    fake_hub.place(home / "hub", "some/clip.openai", commit("b"), plain)
    assert str(refused(lambda: find.find(HUB, "clip", tmp_path)).allowed).startswith("true: ")
    fake_hub.place(home / "hub", "laion/clip", commit("b"), plain)
    assert find.find(replace(HUB, clip="hf-hub:laion/clip"), "clip", tmp_path)
    config = json.loads((plain / "open_clip_config.json").read_text())
    change(plain / "open_clip_config.json", model_cfg=config["model_cfg"] | {"quick_gelu": False})
    assert find.find(models, "clip", tmp_path), "an explicit false is accepted"


@pytest.mark.parametrize(
    ("field", "value"),
    [("embed_dim", 64), ("text_cfg", {"width": 48, "context_length": 77, "vocab_size": 1})],
)
def test_clip_of_other_sizes_is_refused(field: str, value: Any, copies: dict[str, Path], cache: Path) -> None:
    path = copies["clip"] / "open_clip_config.json"
    config = json.loads(path.read_text())
    change(path, model_cfg=config["model_cfg"] | {field: value})
    error = refused(lambda: find.find(local(copies), "clip", cache))
    assert "not the CLIP of its configuration" in error.what and "its weights" in error.what


@pytest.mark.parametrize(
    ("kind", "text"), [("llava_next", "LLaVA-1.6"), ("llava_llama", "llava-hf"), ("llama", "'llama'")]
)
def test_another_language_model_is_refused(
    kind: str, text: str, copies: dict[str, Path], cache: Path
) -> None:
    change(copies["llava"] / "config.json", model_type=kind)
    error = refused(lambda: find.find(local(copies), "llava", cache))
    assert text in str(error) and "model_type" in error.what


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
    error = refused(lambda: find.find(local(copies), part, cache))
    assert (error.got, error.allowed) == (str(folder / pickle), "safetensors")
    command = re.search(r'python -c "([^"]+)"', str(error.fix))
    assert command is not None and str(folder) in command[1]
    compile(command[1], "conversion", "exec")


def test_a_variant_and_a_single_file_are_recognised(
    copies: dict[str, Path], tmp_path: Path, cache: Path
) -> None:
    unet = copies["diffusion"] / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.fp16.safetensors")
    assert refused(lambda: find.find(local(copies), "diffusion", cache)).what.endswith("variant fp16")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "v1-5-pruned.ckpt").write_bytes(b"")
    models = ModelSettings(diffusion=str(tmp_path / "one"))
    error = refused(lambda: find.find(models, "diffusion", cache))
    assert "single file" in error.what and "from_single_file" in str(error.fix)


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
def test_a_setting_without_a_model_is_refused(fields: dict[str, str], part: str, cache: Path) -> None:
    error = refused(lambda: find.find(replace(ModelSettings(), **fields), part, cache))
    ((name, value),) = fields.items()
    assert f"models.{name}" in error.what and value.removeprefix("local-dir:") in str(error.got)


@pytest.mark.parametrize(
    ("part", "actual"), [("diffusion", "clip"), ("clip", "llava"), ("llava", "diffusion")]
)
def test_the_folder_of_another_model_is_recognised(
    part: str, actual: str, copies: dict[str, Path], cache: Path
) -> None:
    folder = f"local-dir:{copies[actual]}" if part == "clip" else str(copies[actual])
    error = refused(lambda: find.find(replace(local(copies), **{part: folder}), part, cache))
    assert f"{LAYOUTS[actual].title}, not {LAYOUTS[part].title}" in error.what
    assert error.got == str(copies[actual])


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
def test_other_content_under_the_name_of_a_file_is_recognised(
    part: str, file: str, content: str, title: str, fix: str, copies: dict[str, Path], cache: Path
) -> None:
    (copies[part] / file).write_text(content, encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        find.find(local(copies), part, cache)
    assert title in caught.value.what
    assert str(caught.value.got) in (str(copies[part]), str(copies[part] / file))
    assert fix in str(caught.value.fix)


@pytest.mark.parametrize("part", ["diffusion", "clip", "llava"])
def test_a_named_pipe_does_not_block(part: str, copies: dict[str, Path], cache: Path) -> None:
    for path in sorted(path for path in copies[part].rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with contextlib.suppress(UvlpError):  # whether it is refused depends on the file
            find.find(local(copies), part, cache)
        path.unlink()
        path.write_bytes(content)
    assert find.find(local(copies), part, cache)


def test_a_deeply_nested_configuration_is_refused(copies: dict[str, Path], cache: Path) -> None:
    path = copies["clip"] / "open_clip_config.json"
    path.write_text("[" * 10**6, encoding="utf-8")
    assert refused(lambda: find.find(local(copies), "clip", cache)).got == str(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(
    dtype: torch.dtype, value: float, copies: dict[str, Path], cache: Path
) -> None:
    path = copies["diffusion"] / "vae" / "diffusion_pytorch_model.safetensors"
    weights = {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
    name = sorted(weights)[5]
    weights[name].view(-1)[-1] = value
    save_file(weights, path)
    for _ in range(2):  # the second time from the cache of hashes
        with pytest.raises(UvlpError) as caught:
            find.find(local(copies), "autoencoder", cache)
        assert caught.value.what.endswith(f"tensor {name}")
        assert caught.value.got == str(path)


def test_large_finite_weights_are_accepted(copies: dict[str, Path], cache: Path) -> None:
    path = copies["diffusion"] / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights[min(weights)].view(-1)[0] = torch.finfo(torch.float32).max
    save_file(weights, path)
    assert find.find(local(copies), "autoencoder", cache)
