from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from tests import tiny_models
from tests.image_features import image_features
from tests.tolerances import EXPONENTIAL, depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.models import embedder
from uvlp.models.device import arithmetic
from uvlp.models.embedder import Embedder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny CLIP in the format of OpenAI's for open_clip."""
    return tiny_models.clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def loaded(models: Path) -> Embedder:
    return Embedder.load(models / "embedder")


def test_features_are_unit_rows(loaded: Embedder, images: np.ndarray, texts: list[str]) -> None:
    for features in (image_features(loaded, images), loaded.text_features(texts)):
        assert features.shape == (12, 32) and features.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=0, atol=rounding(2 * 32 + 4))


def test_different_images_differ_and_equal_texts_agree(
    loaded: Embedder, images: np.ndarray, texts: list[str]
) -> None:
    assert len(np.unique(image_features(loaded, images).round(6), axis=0)) == 12
    assert len(np.unique(loaded.text_features(texts).round(6), axis=0)) == 3


def test_features_agree_with_open_clip(models: Path, loaded: Embedder, images: np.ndarray) -> None:
    source = f"local-dir:{models / 'embedder'}"
    model = open_clip.create_model(source).eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        expected = model.encode_image(pixels, normalize=True)
        text = model.encode_text(open_clip.get_tokenizer(source)(["a bar one"]), normalize=True)
    found = image_features(loaded, images), loaded.text_features(["a bar one"])
    for features, reference, tower in zip(
        found, (expected, text), (model.visual, model.transformer), strict=True
    ):
        np.testing.assert_allclose(features, reference, rtol=0, atol=rounding(depth(tower)))
    assert np.abs(found[0][1:] - found[0][:-1]).max() > rounding(depth(model.visual))


def test_over_long_texts_are_counted(loaded: Embedder) -> None:
    fits, too_long = " ".join(["bar"] * 38), " ".join(["bar"] * 39)
    assert loaded.over_long(["", "a bar one", fits]) == 0
    assert loaded.over_long([too_long, fits, too_long + " bar"]) == 2


def test_over_long_texts_are_counted_with_zero_padding_too() -> None:
    model = type("Model", (), {"context_length": 5, "eval": lambda self: self})()
    simple = open_clip.SimpleTokenizer(context_length=5)
    counting = Embedder(model, lambda image: torch.empty(0), simple)
    assert counting.over_long(["! ! !", "! ! ! !", ""]) == 1


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        Embedder.load(tmp_path)
    assert caught.value.got == str(tmp_path) and "open_clip_config.json" in str(caught.value.allowed)


def test_a_snapshot_of_links_is_loaded(published: Path, tmp_path: Path, images: np.ndarray) -> None:
    """In the hub's cache the files of a snapshot are links to blobs."""
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(published.iterdir())):
        blob = tmp_path / "blobs" / str(number)
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    found = image_features(Embedder.load(snapshot), images)
    np.testing.assert_array_equal(found, image_features(Embedder.load(published), images))


def test_the_openai_file_gets_open_clips_configuration(
    published: Path, tmp_path: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has only weights; quick-GELU comes from open_clip's configuration."""
    assert open_clip.get_model_config(embedder.OPENAI)["quick_gelu"] is True
    config = json.loads((published / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"] = {**config["text_cfg"], "hf_tokenizer_name": ""}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, embedder.OPENAI, config)
    file = tmp_path / "open_clip_model.safetensors"
    file.write_bytes((published / "open_clip_model.safetensors").read_bytes())
    found = image_features(Embedder.load(file), images)
    np.testing.assert_array_equal(found, image_features(Embedder.load(published), images))


def test_quick_gelu_changes_features(published: Path, tmp_path: Path, images: np.ndarray) -> None:
    """The field has to be checked, because wrong features are not detected otherwise."""
    plain = tiny_models.clip(tmp_path, quick_gelu=False)
    weights = [(folder / "open_clip_model.safetensors").read_bytes() for folder in (plain, published)]
    assert weights[0] == weights[1]
    features = [image_features(Embedder.load(folder), images) for folder in (plain, published)]
    model = Embedder.load(published)._model
    assert np.abs(features[0] - features[1]).max() > 1e-4 > rounding(depth(model))


@pytest.mark.parametrize("damage", ["width", "config", "truncated"])
def test_weights_of_another_architecture_are_refused(published: Path, tmp_path: Path, damage: str) -> None:
    for path in published.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = tmp_path / "open_clip_config.json"
    if damage == "width":
        config.write_text(config.read_text().replace('"width": 64', '"width": 96'))
    elif damage == "config":
        config.write_text("{}")
    else:
        weights = tmp_path / "open_clip_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UvlpError) as caught:
        Embedder.load(tmp_path)
    assert str(tmp_path) in caught.value.what and len(str(caught.value)) < 600


def test_normalising_a_row_of_zeros_is_finite() -> None:
    assert embedder._unit(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).tolist() == [
        [0, 0],
        [0.6000000238418579, 0.800000011920929],
    ]


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_used_only_if_requested(
    published: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch, tf32: bool
) -> None:
    """The switches of a GPU; the model itself stays on the CPU."""
    loaded, switches = Embedder.load(published, tf32=tf32), list[tuple[bool, str]]()
    original = loaded._model.encode_image

    def recorded(pixels: torch.Tensor) -> torch.Tensor:
        switches.append((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))
        return original(pixels)

    monkeypatch.setattr(loaded._model, "encode_image", recorded)
    monkeypatch.setattr(
        embedder, "arithmetic", lambda _, *args, **options: arithmetic("cuda", *args, **options)
    )
    loaded.encode(loaded.preprocess(images[0])[None])
    assert switches == [(False, "high" if tf32 else "highest")]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize(("tf32", "tolerance"), [(False, 1e-5), (True, 5e-3)])
def test_features_on_a_gpu_agree_with_a_cpu(
    published: Path, images: np.ndarray, tf32: bool, tolerance: float
) -> None:
    on_gpu, on_cpu = Embedder.load(published, "cuda", tf32), Embedder.load(published)
    np.testing.assert_allclose(image_features(on_gpu, images), image_features(on_cpu, images), atol=tolerance)
    texts = ["a photo of a red circle", "dark"]
    np.testing.assert_allclose(on_gpu.text_features(texts), on_cpu.text_features(texts), atol=tolerance)


def test_dropping_clauses_preserves_the_class_name() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = {embedder._drop_clauses("a one, thin, upright", generator) for _ in range(200)}
    tails = ("", ", thin", ", upright", ", thin, upright")
    assert drawn == {lead + tail for lead in ("one", "a one") for tail in tails}


def test_roll_shifts_images_cyclically() -> None:
    pixels = torch.arange(2 * 3 * 32 * 32).reshape(2, 3, 32, 32).float()
    rolled = embedder._roll(pixels, torch.Generator().manual_seed(1))
    moves = [
        (image, down, right)
        for image in range(2)
        for down in range(-2, 3)
        for right in range(-2, 3)
        if torch.equal(rolled[image], pixels[image].roll((down, right), (1, 2)))
    ]
    assert [image for image, *_ in moves] == [0, 1]


def test_equal_texts_share_the_target() -> None:
    logits = torch.tensor([[5.0, 5.0, 0.0], [5.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
    shared = embedder._contrastive_loss(logits, ["a", "a", "b"])
    bound = rounding(6 * 3 + 2 * EXPONENTIAL, largest=10.0)
    assert shared < embedder._contrastive_loss(logits, ["a", "c", "b"]) + bound
    expected = (2 * np.log(2 + np.exp(-5.0)) + np.log(1 + 2 * np.exp(-5.0))) / 3
    assert shared.item() == pytest.approx(expected, rel=0, abs=bound)
