"""What could be known first is said first, by the run and by the dry run: exit code 2, and nothing made."""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests import fake_hub, tiny_models
from tests.datasets import published
from uvlp.artifacts.store import Store
from uvlp.cli import app
from uvlp.cli.request import Request, resolve
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import HashCache
from uvlp.datasets.files.class_lists import wordnet_classes
from uvlp.pipeline import disk
from uvlp.pipeline.folders.collect import Collect
from uvlp.pipeline.folders.rows import Row
from uvlp.pipeline.make import missing
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import prepare
from uvlp.protocols.training import rded_networks

Call = Callable[..., UvlpError]
NANO = ("digits", "2", "--profile", "nano", "--repeats", "1")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["dry run", pytest.param("run", marks=pytest.mark.slow)])
def refused(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: Path
) -> Callable[..., UvlpError]:
    """Run a command; the error that ends it with exit code 2 before anything is made."""

    def run(*words: str, command: str = "reproduce") -> UvlpError:
        caught: list[UvlpError] = []
        call = app._call

        def recorded() -> int:
            try:
                return call()
            except UvlpError as error:
                caught.append(error)
                raise

        monkeypatch.setattr(app, "_call", recorded)
        more = ["--dry-run"] if request.param == "dry run" else []
        monkeypatch.setattr(sys, "argv", ["uvlp", command, *words, *more, "--store", str(store)])
        with pytest.raises(SystemExit) as end:
            app.main()
        assert end.value.code == 2
        assert not list(store.rglob("manifest.json")), "nothing was made"
        return caught[0]

    return run


def folder(root: Path, classes: int, train: int, val: int) -> Path:
    """A dataset of noise, 32 px."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for number in range(classes):
            place = root / split / f"class{number}"
            place.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{index}.png")
    return root


SETTINGS: Mapping[str, tuple[str, ...]] = {
    "setting evaluate.norm": ("--set=evaluate.norm=layer",),
    "setting evaluate.precision": ("--set=evaluate.precision=half",),
    "convnet-5 is too deep for images of 16 px": ("--network=convnet-5",),
    "convnet-9999 is too deep for images of 16 px": ("--network=convnet-9999",),
    "resnet of unknown depth": ("--network=resnet-12",),
    "image too small for resnet-18": ("--network=resnet-18", "--set=evaluate.size_px=7"),
    "image too small for resnet-ap-10": (
        *("--method=herding", "--set=herding.features=network"),
        *("--set=evaluate.size_px=4", "--network=convnet-1"),
    ),
    "setting embedder.layers": ("--set=embedder.layers=1,1,1",),
    "setting image_px": ("--set=image_px=33",),
    "the dataset has no captions": ("--set=caption.captioner=file", "--method=uvlp"),
    "too few images in a class after dropping its last partial batch": (
        *("--method=d4m:reference-flush", "--set=d4m.km_expand=1000"),
    ),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_a_setting_that_no_stage_could_use(what: str, refused: Call) -> None:
    error = refused(*NANO, *SETTINGS[what])
    assert error.what == what and (error.allowed or error.fix)


ONE = "a batch of one image is too small for the network's last maps"
SMALL = ("--set=evaluate.norm=batch", "--set=evaluate.size_px=8")
BY_NETWORK = ("--set=herding.features=network", "--network=convnet-1")
SINGLE: Mapping[str, tuple[str, ...]] = {
    "20 images in batches of 19": ("--method=random", "--network=resnet-10", "--set=evaluate.batch=19"),
    "20 images in batches of 1": ("--method=random", "--network=resnet-ap-10", "--set=evaluate.batch=1"),
    "1307 images in batches of 653": (
        *("--method=full", "--network=resnet-ap-10", "--set=evaluate.batch=653"),
        "--set=evaluate.norm=instance",
    ),
    "1307 images in batches of 1306": ("--method=herding", *BY_NETWORK, "--set=evaluate.batch=1306"),
    "20 images in batches of 19, soft labels": (
        *("--protocol=rded", "--method=random", "--network=resnet18", "--set=rded.size_px=32"),
        "--set=rded.batch=19",
    ),
}


@pytest.mark.parametrize("case", SINGLE)
def test_a_batch_of_one_image_without_variance(case: str, refused: Call) -> None:
    error = refused(*NANO, *SMALL, *SINGLE[case])
    assert (error.what, error.got) == (ONE, case.partition(", soft")[0]) and error.fix


@pytest.mark.parametrize("side_px", [8, 16, 31 + 32, 34])
def test_images_that_the_small_models_cannot_halve(side_px: int, refused: Call) -> None:
    error = refused(*NANO, f"--set=image_px={side_px}")
    assert (error.what, error.got) == ("setting image_px", side_px)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has what these settings need")
@pytest.mark.parametrize("model", ["embedder", "autoencoder", "diffuser"])
def test_half_precision_of_a_small_model_on_a_processor(model: str, refused: Call) -> None:
    error = refused(*NANO, "--method=vlcp", f"--set={model}.precision=float16")
    assert (error.what, error.got) == ("precision on cpu", "float16")


def test_a_disk_that_is_certainly_too_small(refused: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda place: 2_000_000)
    error = refused(*NANO, "--method=vlcp", "--set=evaluate.size_px=64")
    assert "features" in error.what and "pixels" in error.what
    pixels, row = 490 * 3 * 64 * 64, 64 * 4 + 2 * 4 * 4 * 8 * 8
    latents, images = 20 * 4 * 4 * 8 * 8, 20 * 3 * 32 * 32 // 1032
    needed = pixels + 1307 * row + latents + images
    assert str(error.got).startswith("2.0 MB free in ") and error.fix
    assert error.allowed == f"{needed / 1e6:.1f} MB or more"


RDED = (*NANO, "--protocol", "rded", "--network", "conv3", "--method", "vlcp")
RDED_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "setting rded.optimiser": ("--set=rded.optimiser=adam",),
    "setting rded.schedule": ("--set=rded.schedule=step",),
    "setting rded.mix": ("--set=rded.mix=none",),
    "setting rded.precision": ("--set=rded.precision=half",),
    "patches per side (rded.factor)": ("--set=rded.factor=33",),
    "passes per optimiser step (rded.accumulation)": ("--set=rded.batch=20", "--set=rded.accumulation=21"),
    "images too small for conv5, px": ("--network=conv5",),
    "images too small for conv6, px": ("--set=teacher.network=conv6",),
    "torchvision publishes no weights for this network": ("--set=teacher.source=torchvision",),
    "classes of a dataset for torchvision's weights": (
        *("--set=teacher.source=torchvision", "--set=teacher.network=resnet18"),
    ),
}


@pytest.mark.parametrize("what", RDED_SETTINGS)
def test_a_setting_that_no_student_could_use(what: str, refused: Call) -> None:
    assert refused(*RDED, *RDED_SETTINGS[what]).what == what


@pytest.mark.parametrize("kind", ["another network", "other classes", "NaN"])
def test_a_teacher_that_is_none_of_this_dataset(kind: str, refused: Call, tmp_path: Path) -> None:
    classes = 7 if kind == "other classes" else 10
    made = rded_networks.build("conv4" if kind == "another network" else "conv3", classes=classes, size_px=16)
    state = made.state_dict()
    if kind == "NaN":
        state["classifier.bias"][0] = float("nan")
    path = tmp_path / "teacher.safetensors"
    save_file(state, path)
    error = refused(*RDED, f"--set=teacher.source={path}")
    assert str(path) in f"{error.what} {error.got}"


def foreign(name: str) -> bytes:
    """A file whose header tells that it is no image to train on."""
    if name == "wide":
        content = io.BytesIO()
        Image.fromarray(np.zeros((4, 4), np.float32)).save(content, "TIFF")
        return content.getvalue()
    return {"text": b"no image at all", "large": b"P6 60000 60000 255\n", "empty": b""}[name]


FOREIGN = {"text": "cannot read", "wide": "cannot read", "empty": "cannot read", "large": "too large"}


@pytest.mark.parametrize("kind", FOREIGN)
def test_an_image_of_a_named_set_that_is_none(kind: str, refused: Call, tmp_path: Path) -> None:
    root = published.fill(tmp_path / "imagenette2", (entry.id for entry in wordnet_classes("imagenette")))
    path = next((root / "val").iterdir()) / "x.JPEG"
    path.write_bytes(foreign(kind))
    error = refused("imagenette", "1", "--method=random", f"--data={tmp_path}", "--network=convnet-1")
    assert str(path) in error.what and FOREIGN[kind] in error.what and error.got


@pytest.mark.parametrize("kind", FOREIGN)
def test_an_image_of_a_scored_folder_that_is_none(kind: str, refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=2, train=4, val=4)
    path = folder(tmp_path / "made", classes=2, train=2, val=1) / "train" / "class1" / "1.png"
    path.write_bytes(foreign(kind))
    words = (str(path.parent.parent), f"--dataset=folder:{root}", "--profile=nano", "--protocol=rded")
    error = refused(*words, command="evaluate")
    assert str(path) in error.what and FOREIGN[kind] in error.what and error.got


def test_images_are_decoded_before_hours_of_anything(tmp_path: Path) -> None:
    """A scored folder whose pixels are damaged is read before a teacher is trained for it."""
    root = folder(tmp_path / "images", classes=2, train=4, val=4)
    made = folder(tmp_path / "made", classes=2, train=2, val=1) / "train"
    store = Store(tmp_path / "store")
    words = Request(dataset=f"folder:{root}", ipc=2, protocol="rded", profile="nano", methods=["random"])
    rows = (Row(name="", paths=(str(made),)),)
    collect = Collect(rows=rows, ipc=None, select="first")
    plan = prepare(check(resolve(words)), store, "tabulate", collect)
    stages = [task.stage for task in missing(plan, store)]
    assert set(stages[:2]) == {"pixels", "collect"} and "teacher" in stages[2:]


NETWORK_FEATURES = (*NANO[1:], "--method=herding", "--set=herding.features=network")
ONE_CLASS: Mapping[str, tuple[str, ...]] = {
    "classes to tell apart": (*NANO[1:], "--method=full"),
    "classes to train a teacher on": RDED[1:],
    "classes to train the network that gives features on": NETWORK_FEATURES,
}


@pytest.mark.parametrize("what", ONE_CLASS)
def test_accuracy_says_nothing_of_one_class(what: str, refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=1, train=4, val=4)
    error = refused(f"folder:{root}", *ONE_CLASS[what])
    assert (error.what, error.got, error.allowed) == (what, 1, "2 or more") and error.fix


def test_a_folder_of_images_of_one_class(refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=1, train=4, val=4)
    made = folder(tmp_path / "made", classes=1, train=4, val=4) / "train"
    error = refused(str(made), f"--dataset=folder:{root}", "--profile=nano", command="evaluate")
    assert (error.what, error.got) == ("classes to tell apart", 1)


@pytest.mark.parametrize("more", [["--dry-run"], pytest.param([], marks=pytest.mark.slow)])
def test_images_of_one_class_can_be_made(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "images", classes=1, train=4, val=4)
    words = ["synthesise", f"folder:{root}", *NANO[1:], "--method=random", f"--store={tmp_path / 'store'}"]
    monkeypatch.setattr(sys, "argv", ["uvlp", *words, *more])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code


def test_captions_for_only_some_images(refused: Call, tmp_path: Path) -> None:
    root = folder(tmp_path / "images", classes=2, train=4, val=2)
    (root / "train" / "metadata.jsonl").write_text('{"file_name": "class0/0.png", "text": "x"}\n')
    error = refused(f"folder:{root}", *NANO[1:], "--method=uvlp", "--missing-captions=stop")
    assert "7 of 8" in f"{error.what} {error.got}"


def test_a_network_is_refused_before_gigabytes_are_fetched_for_it(refused: Call, tmp_path: Path) -> None:
    error = refused("imagenette", "10", "--data", str(tmp_path), "--offline", "--network=convnet-8")
    assert error.what == "convnet-8 is too deep for images of 224 px"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    for kind in ("diffusion", "clip", "llava"):
        getattr(tiny_models, kind)(root / kind)
    return root


@pytest.fixture
def models(originals: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals, tmp_path / "models"))


@pytest.fixture
def paper(refused: Call, models: Path, tmp_path: Path) -> Call:
    """Profile sd15 on the copies in ``models``."""
    root = folder(tmp_path / "images", classes=2, train=4, val=2)
    named = (f"diffusion={models / 'diffusion'}", f"clip=local-dir:{models / 'clip'}")
    words = [f"--set=models.{each}" for each in (*named, f"llava={models / 'llava'}")]
    sizes = ("--set=image_px=64", "--set=finetune.resolution_px=64", "--network=convnet-3")
    return lambda *more: refused(
        *(f"folder:{root}", "1", "--profile=sd15", "--offline", "--method=uvlp", *sizes, *words, *more)
    )


MACHINE = [
    ("caption.quantise=4bit", "loading LLaVA in 4 bits needs a GPU"),
    ("models.precision=float16", "precision on cpu"),
    ("finetune.center_crop=false", "setting finetune.cache_latents with random crops"),
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have what these settings need")
@pytest.mark.parametrize(("setting", "what"), MACHINE)
def test_what_this_machine_cannot_do(setting: str, what: str, paper: Call) -> None:
    assert paper(f"--set={setting}").what.startswith(what)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have what these settings need")
@pytest.mark.parametrize(("setting", "what"), MACHINE)
def test_what_this_machine_cannot_do_is_said_before_models_are_fetched(
    setting: str, what: str, refused: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    root = folder(tmp_path / "images", classes=2, train=4, val=2)
    words = (f"folder:{root}", "1", "--profile=sd15", "--offline", "--method=uvlp")
    assert refused(*words, f"--set={setting}").what.startswith(what)


ALL_BUT_ONE = '{"file_name": "class0/0.png", "text": "x"}\n'
UNFETCHED: Mapping[str, tuple[str, ...]] = {
    "classes to tell apart": ("--method=uvlp",),
    "IPC is above the smallest class": ("--method=vlcp", "9"),
    "missing captions": ("--method=vlcp", "--missing-captions=stop"),
    "too few images in a class after dropping its last partial batch": (
        *("--method=d4m:reference-flush", "--set=d4m.km_expand=1000"),
    ),
    "image too small for resnet-ap-10": (
        *("--method=uvlp,herding", "--set=herding.features=network"),
        *("--set=evaluate.size_px=4", "--network=convnet-1"),
    ),
    "torchvision publishes no weights for this network": (
        *("--method=uvlp", "--protocol=rded", "--network=conv3", "--set=teacher.source=torchvision"),
    ),
    "a batch of one image is too small": (
        *("--method=uvlp", "--network=resnet-10", "--set=evaluate.size_px=8", "--set=evaluate.batch=1"),
    ),
}


@pytest.mark.parametrize("what", UNFETCHED)
def test_what_the_dataset_tells_is_said_before_models_are_fetched(
    what: str, refused: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    classes = 1 if what == "classes to tell apart" else 2
    root = folder(tmp_path / "images", classes=classes, train=4, val=2)
    if what == "missing captions":
        (root / "train" / "metadata.jsonl").write_text(ALL_BUT_ONE, encoding="utf-8")
    more = [word for word in UNFETCHED[what] if word.startswith("-")]
    ipc = next((word for word in UNFETCHED[what] if word not in more), "1")
    error = refused(f"folder:{root}", ipc, "--profile=sd15", "--offline", *more)
    assert what in error.what if what != "missing captions" else "7 of 8" in f"{error.what} {error.got}"


@pytest.mark.parametrize("form", ["", "local-dir:"])
def test_what_a_file_of_clip_is_is_said_before_models_are_fetched(
    form: str, refused: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's: a zip file with a program and its constants."""
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    root, path = folder(tmp_path / "images", classes=2, train=4, val=2), tmp_path / "ViT-L-14.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "code/__torch__.py", "data/0", "constants.pkl", "version"):
            archive.writestr(f"ViT-L-14/{name}", b"x")
    words = (f"folder:{root}", "1", "--profile=sd15", "--offline", "--method=uvlp")
    error = refused(*words, f"--set=models.clip={form}{path}")
    assert "a TorchScript archive" in error.what and error.got == str(path)
    assert "models.clip=openai" in str(error.fix)


TORCHVISION = ("--protocol=rded", "--network=resnet18", "--set=teacher.source=torchvision")
UNOPENED: Mapping[str, tuple[str, ...]] = {
    "reproduce": ("imagenette", "10", "--method=random", *TORCHVISION),
    "teacher": ("imagenette", "resnet18", "--checkpoint=torchvision"),
}


@pytest.mark.parametrize("command", UNOPENED)
def test_what_a_named_dataset_tells_is_said_before_it_is_fetched(
    command: str, refused: Call, tmp_path: Path
) -> None:
    error = refused(*UNOPENED[command], "--data", str(tmp_path), "--offline", command=command)
    assert (error.what, error.got) == ("classes of a dataset for torchvision's weights", 10)


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
    "a UNet lacks a tensor": (UNET, without("attn2.to_k.weight"), "attn2.to_k.weight"),
    "a UNet lacks its last layer": (UNET, without("conv_out.bias"), "conv_out.bias"),
    "a UNet has another shape": (UNET, reshaped("time_embedding.linear_1.weight"), "(3, 5)"),
    "a UNet has one tensor too many": (UNET, with_one_more, "extra.weight"),
    "an autoencoder lacks a tensor": (CODER, without("post_quant_conv.bias"), "post_quant_conv.bias"),
    "an autoencoder has another shape": (CODER, reshaped("quant_conv.weight"), "(3, 5)"),
    "an autoencoder has one tensor too many": (CODER, with_one_more, "extra.weight"),
    "a text encoder has another shape": (TEXT, reshaped("layers.1.mlp.fc1.weight"), "(3, 5)"),
    "a text encoder has one tensor too many": (TEXT, with_one_more, "extra.weight"),
    "a CLIP lacks a tensor of its images": (CLIP, without("visual.ln_post.bias"), "visual.ln_post.bias"),
    "a CLIP lacks a tensor of its texts": (CLIP, without("0.attn.in_proj_bias"), "in_proj_bias"),
    "a CLIP has another shape": (CLIP, reshaped("visual.conv1.weight"), "(3, 5)"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_do_not_fit_their_configuration(name: str, paper: Call, models: Path) -> None:
    stem, change, word = WEIGHTS[name]
    path = models / f"{stem}.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    error = paper()
    assert error.what.endswith("its weights)") and word in f"{error.got} {error.allowed}"


def test_an_autoencoder_with_the_names_of_before(models: Path, tmp_path: Path) -> None:
    """As Stable Diffusion 1.5 is published; diffusers reads them."""
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


def test_a_llava_that_lacks_a_layer(paper: Call, models: Path) -> None:
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


@pytest.mark.parametrize("place", FIELDS)
def test_a_field_of_a_configuration_that_no_stage_could_use(place: str, paper: Call, models: Path) -> None:
    name, _, field = place.partition(" ")
    value, got = FIELDS[place]
    path = models / name
    if field:
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(config | {field: value}), encoding="utf-8")
    else:
        path.write_text("[]", encoding="utf-8")
    error = paper()
    assert str(path) in f"{error.what} {error.got}" and got in str(error.got)


def test_images_that_the_published_autoencoder_cannot_halve(paper: Call, models: Path) -> None:
    """With a level more than Stable Diffusion 1.5 has, its cells have 16 px."""
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


def test_a_clip_without_its_tokenizer(paper: Call, models: Path) -> None:
    (models / "clip" / "tokenizer.json").unlink()
    error = paper()
    assert "hf_tokenizer_name" in error.what and error.got == "local"


@pytest.mark.parametrize("stem", [UNET, CLIP])
def test_numbers_that_a_store_of_before_never_looked_at(
    stem: str, paper: Call, models: Path, store: Path
) -> None:
    """Its hashes are remembered as of a version that did not look for NaN."""
    path = models / f"{stem}.safetensors"
    state = load_file(path)
    next(iter(state.values())).view(-1)[0] = float("nan")
    save_file(state, path, metadata={"format": "pt"})
    time.sleep(0.05)  # what was written within a tick of the clock is not remembered
    known = HashCache(store / "datasets" / "models.json")
    known.sha256(path)
    known.save()
    assert HashCache(store / "datasets" / "models.json").sha256(path)
    error = paper()
    assert "not numbers" in error.what and error.got == str(path)
