"""Published models: found without the network, fetched from a hub, refused where they are others."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from tests import fake_hub, tiny_models
from tests.fake_hub import Hub, commit
from uvlp import pretrained
from uvlp.artifacts import model_files
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.recipes.schema import ModelSettings

REPOSITORIES = {"diffusion": "some/sd", "clip": "some/clip.openai", "llava": "some/llava"}
HUB = ModelSettings(
    diffusion="some/sd",
    diffusion_revision=commit("a"),
    clip="hf-hub:some/clip.openai",
    clip_revision="",
    llava="some/llava",
    llava_revision=commit("c"),
)
REVISIONS = {"diffusion": commit("a"), "clip": commit("b"), "llava": commit("c")}
KINDS = sorted(REPOSITORIES)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {kind: getattr(tiny_models, kind)(root / kind) for kind in KINDS}


@pytest.fixture
def copies(originals: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """The same files, to be damaged."""
    return {kind: Path(shutil.copytree(path, tmp_path / "copies" / kind)) for kind, path in originals.items()}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `HF_HOME`, and no way to a real hub."""
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    return tmp_path / "home"


@pytest.fixture
def hub(originals: dict[str, Path], home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with fake_hub.serve() as served:
        for kind, repository in REPOSITORIES.items():
            served.folders[repository, REVISIONS[kind]] = originals[kind]
            served.newest[repository] = REVISIONS[kind]
        fake_hub.live_in(home, monkeypatch, served.address)
        yield served


def local(copies: dict[str, Path]) -> ModelSettings:
    return ModelSettings(
        diffusion=str(copies["diffusion"]), clip=f"local-dir:{copies['clip']}", llava=str(copies["llava"])
    )


def fill(home: Path, originals: dict[str, Path]) -> None:
    for kind, repository in REPOSITORIES.items():
        fake_hub.place(home / "hub", repository, REVISIONS[kind], originals[kind])


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(UvlpError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(path: Path, **fields: Any) -> None:
    value = json.loads(path.read_text())
    for name, new in fields.items():
        if new is None:
            del value[name]
        else:
            value[name] = new
    path.write_text(json.dumps(value))


# -- finding ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", pretrained.PARTS)
def test_a_copy_and_the_repository_have_one_digest(
    part: str, originals: dict[str, Path], copies: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    for folder in copies.values():
        (folder / "README.md").write_text("mine")
        (folder / "other.bin").write_bytes(b"pickle")
    here, there = pretrained.find(local(copies), part, cache), pretrained.find(HUB, part, cache)
    kind = "diffusion" if part == "autoencoder" else part
    assert here.sha256 == there.sha256
    assert (here.revision, there.revision) == ("", REVISIONS[kind])
    assert (here.source, there.source) == (str(copies[kind]), REPOSITORIES[kind])
    assert Path(here.place) == copies[kind]
    assert Path(there.place).is_relative_to(home / "hub") and Path(there.place).name == REVISIONS[kind]


def test_what_is_found_can_be_loaded(originals: dict[str, Path], home: Path, cache: Path) -> None:
    import open_clip
    from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    from uvlp.models.quiet import quiet

    fill(home, originals)
    place = {part: pretrained.find(HUB, part, cache).place for part in pretrained.PARTS}
    with quiet():
        pipeline: Any = StableDiffusionImg2ImgPipeline.from_pretrained(
            place["diffusion"], local_files_only=True, safety_checker=None, use_safetensors=True
        )
        assert pipeline.vae_scale_factor == 8
        AutoencoderKL.from_pretrained(place["autoencoder"], subfolder="vae", local_files_only=True)
        model, _ = open_clip.create_model_from_pretrained(f"local-dir:{place['clip']}")
        ids = open_clip.get_tokenizer(f"local-dir:{place['clip']}")(["a red bar"])
        assert model.encode_text(ids).shape == (1, tiny_models.WIDTH)
        LlavaForConditionalGeneration.from_pretrained(place["llava"], local_files_only=True)
        assert AutoProcessor.from_pretrained(place["llava"]).tokenizer.padding_side == "left"


def test_every_file_that_is_read_counts(copies: dict[str, Path], cache: Path) -> None:
    models = local(copies)
    before = {part: pretrained.find(models, part, cache).sha256 for part in pretrained.PARTS}
    weights = copies["diffusion"] / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        path = copies["llava"] / name
        path.write_text(path.read_text() + "\n")
    after = {part: pretrained.find(models, part, cache).sha256 for part in pretrained.PARTS}
    assert {part for part in pretrained.PARTS if before[part] != after[part]} == {"diffusion", "llava"}


def test_a_second_look_reads_no_weights(
    copies: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = local(copies)
    for folder in copies.values():
        for path in folder.rglob("*"):
            os.utime(path, (1, 1))
    first = pretrained.find(models, "llava", cache)
    time.sleep(0.05)  # the status change must lie a clock tick back to be believed
    first = pretrained.find(models, "llava", cache)
    monkeypatch.setattr("uvlp.core.hashing.file_sha256", lambda path: pytest.fail(f"{path} was read"))
    assert pretrained.find(models, "llava", cache) == first


def test_nothing_heavy_is_imported(copies: dict[str, Path], cache: Path, home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from uvlp import pretrained\n"
        "from uvlp.recipes.schema import ModelSettings\n"
        f"models = ModelSettings(diffusion={str(copies['diffusion'])!r}, clip='hf-hub:no/such')\n"
        f"pretrained.find(models, 'diffusion', Path({str(cache)!r}))\n"
        "pretrained.needed(models, ['clip'])\n"
        "print(sorted({'torch', 'numpy', 'diffusers', 'transformers', 'open_clip', 'httpx', 'httpx2'} "
        "& set(sys.modules)))"
    )
    environment = os.environ | {"HF_HOME": str(home)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.strip() == "[]"


def test_openai_is_what_open_clip_says() -> None:
    from open_clip import get_pretrained_cfg

    assert get_pretrained_cfg("ViT-L-14-quickgelu", "openai")["hf_hub"].strip("/") == pretrained.OPENAI


def test_openai_is_a_file_of_its_repository(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fake_hub.place(home / "hub", pretrained.OPENAI, commit("d"), originals["clip"])
    found = pretrained.find(replace(HUB, clip="openai"), "clip", cache)
    assert Path(found.place).name == "open_clip_model.safetensors" and Path(found.place).is_file()
    assert found.revision == commit("d")
    assert (
        found.sha256
        != pretrained.find(replace(HUB, clip=f"hf-hub:{pretrained.OPENAI}"), "clip", cache).sha256
    ), "the configuration is another file"


def test_the_default_settings_are_understood(home: Path, cache: Path) -> None:
    needed = pretrained.needed(ModelSettings(), pretrained.PARTS)
    assert list(needed) == ["diffusion", "clip", "llava"], "the pipeline brings its autoencoder"
    sizes_gb = {part: round(download.bytes / 1e9, 2) for part, download in needed.items()}
    assert sizes_gb == {"diffusion": 4.27, "clip": 1.71, "llava": 14.13}
    assert list(pretrained.needed(ModelSettings(), ["autoencoder"])) == ["autoencoder"]
    for part in pretrained.PARTS:
        text = refused(lambda part=part: pretrained.find(ModelSettings(), part, cache))  # type: ignore[misc]
        assert (
            f"`uvlp fetch {part}`" in text
            and ("B)" in text)
            and "--set models." in text
            and str(home) in text
        )


# -- missing, another revision, damaged ---------------------------------------------------------------------


def test_a_missing_repository_of_unknown_size_says_how_to_log_in(cache: Path) -> None:
    text = refused(lambda: pretrained.find(HUB, "diffusion", cache))
    assert all(word in text for word in ("some/sd", commit("a"), "unknown size", "HF_TOKEN"))


def test_another_revision_is_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fill(home, originals)
    text = refused(lambda: pretrained.find(replace(HUB, diffusion_revision=commit("9")), "diffusion", cache))
    assert commit("9") in text and commit("a") in text


def test_the_newest_revision_is_recorded_and_kept(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    fill(home, originals)
    first = pretrained.find(HUB, "clip", cache)
    assert json.loads((home / "uvlp_revisions.json").read_text()) == {"some/clip.openai": commit("b")}
    fake_hub.place(home / "hub", "some/clip.openai", commit("e"), originals["clip"])
    text = refused(lambda: pretrained.find(HUB, "clip", cache))
    assert f"got '{commit('e')}'" in text and f"allowed: {commit('b')}" in text
    assert f"--set models.clip_revision={commit('b')}" in text
    assert pretrained.find(replace(HUB, clip_revision=commit("b")), "clip", cache) == first
    assert pretrained.find(replace(HUB, clip_revision="main"), "clip", cache).revision == commit("e")


@pytest.mark.parametrize("part", pretrained.PARTS)
def test_a_truncated_file_is_named(part: str, copies: dict[str, Path], cache: Path) -> None:
    kind = "diffusion" if part == "autoencoder" else part
    files = copies[kind].rglob("vae/*" if part == "autoencoder" else "*")
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    text = refused(lambda: pretrained.find(local(copies), part, cache))
    assert "truncated" in text and str(path) in text


def test_a_damaged_file_is_fetched_again_as_the_error_says(hub: Hub, home: Path, cache: Path) -> None:
    pretrained.fetch(HUB, ["llava"], Progress())
    snapshot = Path(pretrained.find(HUB, "llava", cache).place)
    shard = sorted(snapshot.glob("model-0*.safetensors"))[2]
    shard.write_bytes(shard.read_bytes()[:-5])
    text = refused(lambda: pretrained.find(HUB, "llava", cache))
    told = re.search(r"delete (\S+) and run `uvlp fetch llava", text)
    assert told is not None and str(shard) in text
    Path(told[1]).unlink()
    hub.asked.clear()
    pretrained.fetch(HUB, ["llava"], Progress())
    assert [name for name, _ in hub.asked] == [shard.name]
    assert pretrained.find(HUB, "llava", cache)


def test_shards_that_were_never_fetched_are_fetched(hub: Hub, home: Path, cache: Path) -> None:
    pretrained.fetch(HUB, ["llava"], Progress())
    snapshot = Path(pretrained.find(HUB, "llava", cache).place)
    for shard in sorted(snapshot.glob("model-0*.safetensors"))[1:]:
        shard.resolve().unlink()
        shard.unlink()
    assert "model-00002-of" in refused(lambda: pretrained.find(HUB, "llava", cache))
    assert list(pretrained.needed(HUB, ["llava"])) == ["llava"]
    pretrained.fetch(HUB, ["llava"], Progress())
    assert pretrained.find(HUB, "llava", cache)


def test_other_bytes_than_published_are_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    fill(home, originals)
    snapshot = home / "hub" / "models--some--sd" / "snapshots" / commit("a")
    blob = (snapshot / "vae" / "diffusion_pytorch_model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x07")
    text = refused(lambda: pretrained.find(HUB, "autoencoder", cache))
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
    text = refused(lambda: pretrained.find(HUB, "diffusion", cache))
    assert "vae/diffusion_pytorch_model.safetensors missing" in text and "fetches the rest" in text
    assert list(pretrained.needed(HUB, ["diffusion"])) == ["diffusion"]


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
    text = refused(lambda: pretrained.find(local(copies), part, cache))
    assert f"{file}" in text and "missing" in text and str(folder) in text
    assert refused(lambda: pretrained.needed(local(copies), [part])) == text


def test_a_missing_shard_is_named(copies: dict[str, Path], cache: Path) -> None:
    shard = sorted(copies["llava"].glob("model-0*.safetensors"))[1]
    shard.unlink()
    text = refused(lambda: pretrained.find(local(copies), "llava", cache))
    assert shard.name in text and str(copies["llava"]) in text


def test_shards_that_were_swapped_are_named(copies: dict[str, Path], cache: Path) -> None:
    one, two = sorted(copies["llava"].glob("model-0*.safetensors"))[:2]
    shutil.copyfile(one, two)
    assert "lacks the tensor" in refused(lambda: pretrained.find(local(copies), "llava", cache))


def test_a_garbled_configuration_is_named(copies: dict[str, Path], cache: Path) -> None:
    path = copies["diffusion"] / "unet" / "config.json"
    path.write_text("{")
    assert str(path) in refused(lambda: pretrained.find(local(copies), "diffusion", cache))


@pytest.mark.parametrize(
    ("part", "file"),
    [("clip", "open_clip_config.json"), ("llava", "config.json"), ("llava", "model.safetensors.index.json")],
)
def test_a_configuration_of_another_form_is_named(
    part: str, file: str, copies: dict[str, Path], cache: Path
) -> None:
    path = copies[part] / file
    path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()))))
    assert str(path) in refused(lambda: pretrained.find(local(copies), part, cache))


# -- another architecture -----------------------------------------------------------------------------------


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
    text = refused(lambda: pretrained.find(local(copies), "diffusion", cache))
    assert "this is" in text and "not" in text and words in text


def test_weights_of_an_inpainting_model_under_a_changed_configuration(
    copies: dict[str, Path], cache: Path
) -> None:
    path = copies["diffusion"] / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"conv_in.weight": torch.zeros(8, 9, 3, 3)}, path)
    assert "conv_in.weight" in refused(lambda: pretrained.find(local(copies), "diffusion", cache))


def test_clip_without_quick_gelu_is_refused(originals: dict[str, Path], home: Path, tmp_path: Path) -> None:
    plain = tiny_models.clip(tmp_path / "plain", quick_gelu=False)
    models = ModelSettings(clip=f"local-dir:{plain}")
    text = refused(lambda: pretrained.find(models, "clip", tmp_path))
    assert '"quick_gelu"' in text and str(plain / "open_clip_config.json") in text
    fake_hub.place(home / "hub", "some/clip.openai", commit("b"), plain)
    assert "these are OpenAI's weights" in refused(lambda: pretrained.find(HUB, "clip", tmp_path))
    fake_hub.place(home / "hub", "laion/clip", commit("b"), plain)
    assert pretrained.find(replace(HUB, clip="hf-hub:laion/clip"), "clip", tmp_path)
    config = json.loads((plain / "open_clip_config.json").read_text())
    change(plain / "open_clip_config.json", model_cfg=config["model_cfg"] | {"quick_gelu": False})
    assert pretrained.find(models, "clip", tmp_path), "who says false means it"


@pytest.mark.parametrize(
    ("field", "value"),
    [("embed_dim", 64), ("text_cfg", {"width": 48, "context_length": 77, "vocab_size": 1})],
)
def test_clip_of_other_sizes_is_refused(field: str, value: Any, copies: dict[str, Path], cache: Path) -> None:
    path = copies["clip"] / "open_clip_config.json"
    config = json.loads(path.read_text())
    change(path, model_cfg=config["model_cfg"] | {field: value})
    assert "text_projection" in refused(lambda: pretrained.find(local(copies), "clip", cache))


@pytest.mark.parametrize(
    ("kind", "words"), [("llava_next", "LLaVA-1.6"), ("llava_llama", "llava-hf"), ("llama", "'llama'")]
)
def test_another_language_model_is_named(kind: str, words: str, copies: dict[str, Path], cache: Path) -> None:
    change(copies["llava"] / "config.json", model_type=kind)
    text = refused(lambda: pretrained.find(local(copies), "llava", cache))
    assert words in text and "model_type" in text


# -- pickles and other forms --------------------------------------------------------------------------------


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
    text = refused(lambda: pretrained.find(local(copies), part, cache))
    assert str(folder / pickle) in text and "allowed: safetensors" in text
    command = re.search(r'python -c "([^"]+)"', text)
    assert command is not None and str(folder) in command[1]
    compile(command[1], "conversion", "exec")


def test_a_variant_and_a_single_file_are_told(copies: dict[str, Path], tmp_path: Path, cache: Path) -> None:
    unet = copies["diffusion"] / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.fp16.safetensors")
    text = refused(lambda: pretrained.find(local(copies), "diffusion", cache))
    assert "diffusion_pytorch_model.fp16.safetensors is another variant" in text
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "v1-5-pruned.safetensors").write_bytes(b"")
    models = ModelSettings(diffusion=str(tmp_path / "one"))
    text = refused(lambda: pretrained.find(models, "diffusion", cache))
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
    text = refused(lambda: pretrained.find(replace(ModelSettings(), **fields), part, cache))

    ((name, value),) = fields.items()
    assert f"models.{name}" in text and value.removeprefix("local-dir:") in text


# -- fetching -----------------------------------------------------------------------------------------------


def test_fetched_files_are_found_without_the_network(
    hub: Hub,
    originals: dict[str, Path],
    copies: dict[str, Path],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (originals["clip"] / "open_clip_pytorch_model.bin").write_bytes(b"a pickle that nobody wants")
    events: list[Event] = []
    pretrained.fetch(HUB, KINDS, Progress(events.append))
    (originals["clip"] / "open_clip_pytorch_model.bin").unlink()
    names = [name for name, _ in hub.asked]
    wanted = [path.name for folder in originals.values() for path in folder.rglob("*") if path.is_file()]
    assert sorted(names) == sorted(wanted), "every file of the layout once, no other"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pretrained.needed(HUB, pretrained.PARTS) == {}
    for part in pretrained.PARTS:
        assert pretrained.find(HUB, part, cache).sha256 == pretrained.find(local(copies), part, cache).sha256
    hub.asked.clear()
    pretrained.fetch(HUB, KINDS, Progress())
    assert not hub.asked


@pytest.mark.parametrize("large", [0, 10**7])
def test_a_broken_transfer_continues(
    large: int, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # 10 MB: the tiny model in one piece
    monkeypatch.setattr("uvlp.artifacts.hub.RESUMED_BYTES", large)
    hub.stops_after["open_clip_model.safetensors"] = 400_000
    pretrained.fetch(HUB, ["clip"], Progress())
    starts = [start for name, start in hub.asked if name == "open_clip_model.safetensors"]
    assert len(starts) == 2 and starts[0] == 0 < starts[1] <= 400_000
    assert pretrained.find(HUB, "clip", cache).revision == commit("b")


def test_a_killed_transfer_continues(
    hub: Hub, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvlp.artifacts.hub.RESUMED_BYTES", 100_000)
    hub.stalls_after["open_clip_model.safetensors"] = 400_000
    code = (
        "from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 100_000\n"
        "from uvlp.artifacts import hub; hub.RESUMED_BYTES = 100_000\n"
        "from uvlp import pretrained; from uvlp.core.progress import Progress\n"
        "from uvlp.recipes.schema import ModelSettings\n"
        f"pretrained.fetch(ModelSettings(clip={HUB.clip!r}), ['clip'], Progress())\n"
    )
    environment = os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": hub.address}
    victim = subprocess.Popen([sys.executable, "-c", code], env=environment)
    ends = time.monotonic() + 30
    while time.monotonic() < ends and not any(
        path.stat().st_size >= 300_000 for path in home.rglob("blobs/*.incomplete")
    ):
        assert victim.poll() is None
        time.sleep(0.02)
    victim.kill()
    victim.wait()
    hub.go_on.set()
    assert list(pretrained.needed(HUB, ["clip"])) == ["clip"]
    hub.asked.clear()
    pretrained.fetch(HUB, ["clip"], Progress())
    starts = [start for name, start in hub.asked if name == "open_clip_model.safetensors"]
    assert len(starts) == 1 and starts[0] >= 300_000
    assert pretrained.find(HUB, "clip", cache)


def test_the_recorded_revision_is_fetched_again(
    hub: Hub, originals: dict[str, Path], home: Path, cache: Path
) -> None:
    pretrained.fetch(HUB, ["clip"], Progress())
    first = pretrained.find(HUB, "clip", cache)
    shutil.rmtree(home / "hub")
    hub.folders["some/clip.openai", commit("f")] = originals["clip"]
    hub.newest["some/clip.openai"] = commit("f")
    pretrained.fetch(HUB, ["clip"], Progress())
    assert pretrained.find(HUB, "clip", cache) == first


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "RepoNotFound", "or a private one"),
        (404, "RepoNotFound", "no such repository"),
        (401, "GatedRepo", "open only to those who asked"),
        (403, "GatedRepo", "open only to those who asked"),
        (403, "", "open only to those who asked"),
    ],
)
def test_a_refusal_is_one_line(status: int, code: str, words: str, hub: Hub) -> None:
    hub.refuse["some/sd"] = status, code
    text = refused(lambda: pretrained.fetch(HUB, ["diffusion"], Progress()))
    assert words in text and "HF_TOKEN" in text and "some/sd" in text


def test_an_unknown_revision_is_one_line(hub: Hub) -> None:
    models = replace(HUB, diffusion_revision=commit("9"))
    text = refused(lambda: pretrained.fetch(models, ["diffusion"], Progress()))
    assert "no such revision" in text and commit("9") in text


def test_a_repository_without_safetensors_is_one_line(hub: Hub, copies: dict[str, Path]) -> None:
    (copies["clip"] / "open_clip_model.safetensors").unlink()
    hub.folders["some/clip.openai", commit("b")] = copies["clip"]
    text = refused(lambda: pretrained.fetch(HUB, ["clip"], Progress()))
    assert "open_clip_model.safetensors missing" in text and "safetensors" in text


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    text = refused(lambda: pretrained.fetch(HUB, ["diffusion"], Progress()))
    assert "no connection to http://127.0.0.1:9" in text and "continues" in text


def test_a_server_that_is_down_is_asked_three_times(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.refuse["some/sd"] = 503, ""
    events: list[Event] = []
    text = refused(lambda: pretrained.fetch(HUB, ["diffusion"], Progress(events.append)))
    assert "stopped 3 times" in text and "503" in text and "continues" in text
    assert [event.say.rpartition("; ")[2] for event in events] == ["attempt 2 of 3", "attempt 3 of 3"]


def test_told_to_stay_offline_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refused(lambda: pretrained.fetch(HUB, ["diffusion"], Progress()))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "no space left"),
        (
            RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"),
            "no space left",
        ),
        (PermissionError(13, "Permission denied"), "cannot be written"),
    ],
)
def test_a_disk_that_takes_nothing_is_one_line(
    error: Exception, words: str, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    text = refused(lambda: pretrained.fetch(HUB, ["diffusion"], Progress()))
    assert words in text and "HF_HOME" in text and str(home) in text


def test_a_folder_is_never_fetched(copies: dict[str, Path]) -> None:
    pretrained.fetch(local(copies), pretrained.PARTS, Progress())
    assert pretrained.needed(local(copies), pretrained.PARTS) == {}


def test_patterns_take_no_other_variant() -> None:
    from fnmatch import fnmatchcase

    patterns = model_files.LAYOUTS["diffusion"].patterns()
    for name in (
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model.bin",
        "v1-5-pruned.safetensors",
        "safety_checker/model.safetensors",
    ):
        assert not any(fnmatchcase(name, pattern) for pattern in patterns)
