"""Unseen texts never become unknown tokens, and cached clauses give the ids of complete texts."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from transformers import AutoTokenizer, CLIPTokenizer

from uvlp.models import tokenizer
from uvlp.models.tokenizer import ClauseTokens

TEXTS = ["a handwritten digit seven, thin strokes", "a photo of the big eight.", "cartoon, anime, painting"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    size = tokenizer.train(TEXTS, 12, folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    assert isinstance(loaded, CLIPTokenizer) and len(loaded) == size
    return loaded


def test_every_known_word_is_one_token(trained: CLIPTokenizer) -> None:
    tokens = trained.tokenize("a handwritten digit seven, thin strokes")
    words = ("a", "handwritten", "digit", "seven", ",", "thin", "strokes")
    assert tokens == [word + "</w>" for word in words]


def test_end_of_text_is_the_largest_id_and_the_padding(trained: CLIPTokenizer) -> None:
    assert trained.eos_token_id == trained.pad_token_id == len(trained) - 1
    assert trained.bos_token_id == len(trained) - 2


@pytest.mark.parametrize("text", ["Zebra-striped 42!", "naïve façade", "日本 🙂", "_~^"])
def test_unseen_text_is_never_unknown(trained: CLIPTokenizer, text: str) -> None:
    ids = trained(text, add_special_tokens=False).input_ids
    assert ids and trained.unk_token_id not in ids


def test_the_context_length_is_saved(trained: CLIPTokenizer) -> None:
    assert trained.model_max_length == 12
    assert len(trained("seven " * 40, truncation=True).input_ids) == 12


def test_training_does_not_depend_on_the_order_of_texts(tmp_path: Path) -> None:
    """With many ties between merges, which a hash map would break at random."""

    def files(name: str, texts: list[str]) -> list[bytes]:
        tokenizer.train(texts, 12, tmp_path / name)
        return [(tmp_path / name / file).read_bytes() for file in ("tokenizer.json", "tokenizer_config.json")]

    first = files("first", TEXTS)
    for repeat in range(20):
        assert files(f"again{repeat}", [*reversed(TEXTS), TEXTS[0]]) == first


CLAUSE_TEXTS = [
    "",
    "bar",
    "a bar one, thin strokes, light ink",
    "One, Thin, Light 12 ink",
    "thin strokes!, a bar (one), light &amp; ink",
    "a  bar one , thin",
    ", one",
    " ".join(["bar"] * 60),
    ", ".join(["a bar one"] * 20),
]


@pytest.mark.parametrize("length", [40, 8])
def test_cached_clauses_give_the_ids_of_the_complete_text(models: Path, length: int) -> None:
    reference = open_clip.get_tokenizer(f"local-dir:{models / 'embedder'}", context_length=length)
    tokens = ClauseTokens(reference, length)
    for _ in range(2):  # from the tokenizer, then from the cache
        assert torch.equal(tokens(CLAUSE_TEXTS), reference(CLAUSE_TEXTS))
