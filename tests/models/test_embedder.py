from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models import embedder
from uvlp.models.embedder import Embedder


@pytest.fixture(scope="module")
def loaded(models: Path) -> Embedder:
    return Embedder.load(models / "embedder")


def test_features_are_unit_rows(loaded: Embedder, images: np.ndarray, texts: list[str]) -> None:
    for features in (loaded.image_features(images), loaded.text_features(texts)):
        assert features.shape == (12, 32) and features.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)


def test_images_tell_apart_and_equal_texts_agree(
    loaded: Embedder, images: np.ndarray, texts: list[str]
) -> None:
    assert len(np.unique(loaded.image_features(images).round(6), axis=0)) == 12
    assert len(np.unique(loaded.text_features(texts).round(6), axis=0)) == 3


def test_features_are_those_of_plain_open_clip(models: Path, loaded: Embedder, images: np.ndarray) -> None:
    source = f"local-dir:{models / 'embedder'}"
    model = open_clip.create_model(source).eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        expected = model.encode_image(pixels, normalize=True)
        words = model.encode_text(open_clip.get_tokenizer(source)(["a bar one"]), normalize=True)
    np.testing.assert_allclose(loaded.image_features(images), expected, atol=1e-5)
    np.testing.assert_allclose(loaded.text_features(["a bar one"]), words, atol=1e-5)


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
    assert shared < embedder._contrastive_loss(logits, ["a", "c", "b"]) + 1e-6
    expected = (2 * np.log(2 + np.exp(-5.0)) + np.log(1 + 2 * np.exp(-5.0))) / 3
    assert shared.item() == pytest.approx(expected, rel=1e-5)
