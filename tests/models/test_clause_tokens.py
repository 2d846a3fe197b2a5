from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch

from uvlp.models.tokenizer import ClauseTokens

TEXTS = [
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
def test_the_ids_are_those_of_the_whole_text(models: Path, length: int) -> None:
    whole = open_clip.get_tokenizer(f"local-dir:{models / 'embedder'}", context_length=length)
    tokens = ClauseTokens(whole, length)
    for _ in range(2):  # from the tokenizer, then from memory
        assert torch.equal(tokens(TEXTS), whole(TEXTS))
