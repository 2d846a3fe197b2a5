from __future__ import annotations

from pathlib import Path

import open_clip
import torch

from tests.tolerances import depth, rounding
from uvlp.models import text_tower


def test_the_copy_is_exact(models: Path, texts: list[str]) -> None:
    source = f"local-dir:{models / 'embedder'}"
    original = open_clip.create_model(source).eval()
    ids = open_clip.get_tokenizer(source)([*texts, "", "cartoon, anime, painting"])
    copied = text_tower.from_open_clip(models / "embedder")
    with torch.no_grad():
        states = copied(ids).last_hidden_state
        pooled = states[torch.arange(len(ids)), ids.argmax(dim=1)] @ original.text_projection
        expected = original.encode_text(ids)
    bound = rounding(depth(copied), largest=expected.abs().max().item())
    torch.testing.assert_close(pooled, expected, atol=bound, rtol=0)


def test_the_copy_is_frozen(models: Path) -> None:
    assert not any(
        parameter.requires_grad for parameter in text_tower.from_open_clip(models / "embedder").parameters()
    )
