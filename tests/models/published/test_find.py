"""Find published models without the network, and hash them by content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests import fake_hub, tiny_models
from tests.fake_hub import commit
from tests.models.published.copies import HUB, REPOSITORIES, REVISIONS, fill, local, refused
from uvlp.models.published import find
from uvlp.models.published.checks import clip_tensors
from uvlp.models.published.sizes import OPENAI
from uvlp.recipes.schema import ModelSettings


@pytest.mark.parametrize("part", find.PARTS)
def test_a_copy_and_the_repository_have_the_same_digest(
    part: str, originals: dict[str, Path], copies: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    for folder in copies.values():
        (folder / "README.md").write_text("mine")
        (folder / "other.bin").write_bytes(b"pickle")
    here, there = find.find(local(copies), part, cache), find.find(HUB, part, cache)
    kind = "diffusion" if part == "autoencoder" else part
    assert here.sha256 == there.sha256
    assert (here.revision, there.revision) == ("", REVISIONS[kind])
    assert (here.source, there.source) == (str(copies[kind]), REPOSITORIES[kind])
    assert Path(here.path) == copies[kind]
    assert Path(there.path).is_relative_to(home / "hub") and Path(there.path).name == REVISIONS[kind]


def test_models_that_are_found_can_be_loaded(originals: dict[str, Path], home: Path, cache: Path) -> None:
    import open_clip
    from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    from uvlp.models.quiet import quiet

    fill(home, originals)
    paths = {part: find.find(HUB, part, cache).path for part in find.PARTS}
    with quiet():
        pipeline: Any = StableDiffusionImg2ImgPipeline.from_pretrained(
            paths["diffusion"], local_files_only=True, safety_checker=None, use_safetensors=True
        )
        assert pipeline.vae_scale_factor == 8
        AutoencoderKL.from_pretrained(paths["autoencoder"], subfolder="vae", local_files_only=True)
        model, _ = open_clip.create_model_from_pretrained(f"local-dir:{paths['clip']}")
        ids = open_clip.get_tokenizer(f"local-dir:{paths['clip']}")(["a red bar"])
        assert model.encode_text(ids).shape == (1, tiny_models.WIDTH)
        LlavaForConditionalGeneration.from_pretrained(paths["llava"], local_files_only=True)
        assert AutoProcessor.from_pretrained(paths["llava"]).tokenizer.padding_side == "left"


def test_every_file_that_is_read_affects_the_digest(copies: dict[str, Path], cache: Path) -> None:
    models = local(copies)
    before = {part: find.find(models, part, cache).sha256 for part in find.PARTS}
    weights = copies["diffusion"] / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        path = copies["llava"] / name
        path.write_text(path.read_text() + "\n")
    after = {part: find.find(models, part, cache).sha256 for part in find.PARTS}
    assert {part for part in find.PARTS if before[part] != after[part]} == {"diffusion", "llava"}


def test_a_second_call_reads_no_weights(
    copies: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = local(copies)
    for folder in copies.values():
        for path in folder.rglob("*"):
            os.utime(path, (1, 1))
    first = find.find(models, "llava", cache)
    time.sleep(0.05)  # cached hashes are trusted if the file changed at least a clock tick earlier
    first = find.find(models, "llava", cache)
    monkeypatch.setattr("uvlp.core.hashing.file_sha256", lambda path: pytest.fail(f"{path} was read"))
    assert find.find(models, "llava", cache) == first


def test_a_second_call_imports_no_heavy_library(copies: dict[str, Path], cache: Path, home: Path) -> None:
    """The first one checks the weights with numpy."""
    time.sleep(0.05)  # cached hashes are trusted if the file changed at least a clock tick earlier
    find.find(local(copies), "diffusion", cache)
    code = (
        "import sys; from pathlib import Path; from uvlp.models.published import find\n"
        "from uvlp.recipes.schema import ModelSettings\n"
        f"models = ModelSettings(diffusion={str(copies['diffusion'])!r}, clip='hf-hub:no/such')\n"
        f"find.find(models, 'diffusion', Path({str(cache)!r}))\n"
        "find.needed(models, ['clip'])\n"
        "print(sorted({'torch', 'numpy', 'diffusers', 'transformers', 'open_clip', 'httpx', 'httpx2'} "
        "& set(sys.modules)))"
    )
    environment = os.environ | {"HF_HOME": str(home)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.strip() == "[]"


def test_the_openai_repository_is_that_of_open_clip() -> None:
    from open_clip import get_pretrained_cfg

    assert get_pretrained_cfg("ViT-L-14-quickgelu", "openai")["hf_hub"].strip("/") == OPENAI


def test_openai_uses_one_file_of_its_repository(
    originals: dict[str, Path], home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((originals["clip"] / "open_clip_config.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(clip_tensors, "OPENAI", config["model_cfg"])  # replaced by a tiny one
    fake_hub.place(home / "hub", OPENAI, commit("d"), originals["clip"])
    found = find.find(replace(HUB, clip="openai"), "clip", cache)
    assert Path(found.path).name == "open_clip_model.safetensors" and Path(found.path).is_file()
    assert found.revision == commit("d")
    assert found.sha256 != find.find(replace(HUB, clip=f"hf-hub:{OPENAI}"), "clip", cache).sha256, (
        "the configuration is an additional file"
    )


def test_the_openai_configuration_is_that_of_open_clip(cache: Path) -> None:
    from open_clip import get_model_config

    assert get_model_config("ViT-L-14-quickgelu") == {**clip_tensors.OPENAI, "quick_gelu": True}


def test_missing_default_models_suggest_the_fetch_command(home: Path, cache: Path) -> None:
    parts = [part for part in find.PARTS if part != "stylegan_xl"]
    needed = find.needed(ModelSettings(), parts)
    assert list(needed) == ["diffusion", "clip", "llava", "dit"], "the pipeline contains its autoencoder"
    sizes_gb = {part: round(download.bytes / 1e9, 2) for part, download in needed.items()}
    assert sizes_gb == {"diffusion": 4.27, "clip": 1.71, "llava": 14.13, "dit": 3.33}
    assert list(find.needed(ModelSettings(), ["autoencoder"])) == ["autoencoder"]
    for part in parts:
        fix = str(refused(lambda part=part: find.find(ModelSettings(), part, cache)).fix)  # type: ignore[misc]
        for text in (f"`uvlp fetch {part}`", "B)", "--set models.", str(home)):
            assert text in fix


def test_a_model_without_a_default_is_named_with_its_setting(home: Path, cache: Path) -> None:
    for call in (find.needed, lambda models, parts: find.find(models, parts[0], cache)):
        error = refused(lambda call=call: call(ModelSettings(), ["stylegan_xl"]))  # type: ignore[misc]
        assert error.what.startswith("models.stylegan_xl is not set")
        assert "--set models.stylegan_xl=FOLDER" in str(error.fix)
