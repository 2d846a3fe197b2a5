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
    """A CLIP as OpenAI's is published for open_clip, with tiny sizes."""
    return tiny_models.clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def loaded(models: Path) -> Embedder:
    return Embedder.load(models / "embedder")


def test_features_are_unit_rows(loaded: Embedder, images: np.ndarray, texts: list[str]) -> None:
    for features in (image_features(loaded, images), loaded.text_features(texts)):
        assert features.shape == (12, 32) and features.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=0, atol=rounding(2 * 32 + 4))


def test_images_tell_apart_and_equal_texts_agree(
    loaded: Embedder, images: np.ndarray, texts: list[str]
) -> None:
    assert len(np.unique(image_features(loaded, images).round(6), axis=0)) == 12
    assert len(np.unique(loaded.text_features(texts).round(6), axis=0)) == 3


def test_features_are_those_of_plain_open_clip(models: Path, loaded: Embedder, images: np.ndarray) -> None:
    source = f"local-dir:{models / 'embedder'}"
    model = open_clip.create_model(source).eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        expected = model.encode_image(pixels, normalize=True)
        words = model.encode_text(open_clip.get_tokenizer(source)(["a bar one"]), normalize=True)
    found = image_features(loaded, images), loaded.text_features(["a bar one"])
    for features, wanted, tower in zip(
        found, (expected, words), (model.visual, model.transformer), strict=True
    ):
        np.testing.assert_allclose(features, wanted, rtol=0, atol=rounding(depth(tower)))
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


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UvlpError, match=r"no open_clip model here.*open_clip_config\.json"):
        Embedder.load(tmp_path)


def test_a_snapshot_of_links_is_a_folder_like_any_other(
    published: Path, tmp_path: Path, images: np.ndarray
) -> None:
    """As the hub's cache lays it out: the names of a snapshot are links to blobs."""
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
    """The weights stand alone, and the quick-GELU comes from the list of open_clip."""
    assert open_clip.get_model_config(embedder.OPENAI)["quick_gelu"] is True
    config = json.loads((published / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"] = {**config["text_cfg"], "hf_tokenizer_name": ""}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, embedder.OPENAI, config)
    file = tmp_path / "open_clip_model.safetensors"
    file.write_bytes((published / "open_clip_model.safetensors").read_bytes())
    found = image_features(Embedder.load(file), images)
    np.testing.assert_array_equal(found, image_features(Embedder.load(published), images))


def test_quick_gelu_changes_features(published: Path, tmp_path: Path, images: np.ndarray) -> None:
    """Why the field is checked: nothing else tells that the features are wrong."""
    plain = tiny_models.clip(tmp_path, quick_gelu=False)
    weights = [(folder / "open_clip_model.safetensors").read_bytes() for folder in (plain, published)]
    assert weights[0] == weights[1]
    features = [image_features(Embedder.load(folder), images) for folder in (plain, published)]
    model = Embedder.load(published)._model
    assert np.abs(features[0] - features[1]).max() > 1e-4 > rounding(depth(model))


@pytest.mark.parametrize("damage", ["width", "config", "truncated"])
def test_weights_of_another_architecture_are_named(published: Path, tmp_path: Path, damage: str) -> None:
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
    with pytest.raises(UvlpError, match="no CLIP can be loaded from") as error:
        Embedder.load(tmp_path)
    assert len(str(error.value)) < 600


def test_a_row_of_zeros_stays_finite() -> None:
    assert embedder._unit(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).tolist() == [
        [0, 0],
        [0.6000000238418579, 0.800000011920929],
    ]


@pytest.mark.parametrize("tf32", [False, True])
def test_on_a_gpu_nothing_is_rounded_to_tf32_unasked(
    published: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch, tf32: bool
) -> None:
    """The settings that a GPU would compute under; the model itself stays on the CPU."""
    made, seen = Embedder.load(published, tf32=tf32), list[tuple[bool, str]]()
    original = made._model.encode_image

    def watched(pixels: torch.Tensor) -> torch.Tensor:
        seen.append((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))
        return original(pixels)

    monkeypatch.setattr(made._model, "encode_image", watched)
    monkeypatch.setattr(
        embedder, "arithmetic", lambda _, *words, **named: arithmetic("cuda", *words, **named)
    )
    made.encode(made.preprocess(images[0])[None])
    assert seen == [(False, "high" if tf32 else "highest")]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize(("tf32", "tolerance"), [(False, 1e-5), (True, 5e-3)])
def test_a_gpu_gives_the_features_of_the_cpu(
    published: Path, images: np.ndarray, tf32: bool, tolerance: float
) -> None:
    on_gpu, on_cpu = Embedder.load(published, "cuda", tf32), Embedder.load(published)
    np.testing.assert_allclose(image_features(on_gpu, images), image_features(on_cpu, images), atol=tolerance)
    words = ["a photo of a red circle", "dark"]
    np.testing.assert_allclose(on_gpu.text_features(words), on_cpu.text_features(words), atol=tolerance)


def test_clause_dropping_keeps_the_class() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = {embedder._drop_clauses("a one, thin, upright", generator) for _ in range(200)}
    tails = ("", ", thin", ", upright", ", thin, upright")
    assert drawn == {lead + tail for lead in ("one", "a one") for tail in tails}


def test_roll_moves_whole_images() -> None:
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
