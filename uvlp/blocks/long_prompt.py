"""VLCP's prompt embedding without the limit of 77 tokens (methods.md B.6).

Neither padded nor cut to 77: a prompt has as many tokens as its caption needs, in blocks that the text
encoder sees separately. Positions start again in each block, and later blocks have no start token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

Tokenize = Callable[[str], list[int]]
"""Text to ids with start and end token, neither padded nor cut."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Ids int64 [1, n], n at most one block, to the last hidden states [1, n, d]."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Ids, block lengths and embeddings [1, L, d] of one text."""

    ids: tuple[int, ...]
    blocks: tuple[int, ...]
    states: torch.Tensor


def embed_pair(
    prompt: str,
    negative: str,
    tokenize: Tokenize,
    encode: Encode,
    *,
    pad: int,
    block: int = 77,
    equalise: bool = True,
) -> tuple[Embedded, Embedded]:
    """Embeddings of a prompt and of its negative prompt.

    The one with more blank-separated pieces keeps its length and the other is padded to it. A prompt of
    three or four short words has more pieces and fewer tokens than the negative, so that lengths differ
    and the pipeline refuses the pair.

    Args:
        prompt, negative: texts.
        tokenize, encode: the pipeline's tokenizer and text encoder.
        pad: id of the pad token.
        block: most ids that the encoder takes.
        equalise: pad the shorter one also in that case (E37); False is the reference.
    """
    ids, negative_ids = tokenize(prompt), tokenize(negative)
    if len(prompt.split(" ")) >= len(negative.split(" ")):
        negative_ids = _padded(negative_ids, len(ids), pad)
    else:
        ids = _padded(ids, len(negative_ids), pad)
    if equalise:
        longest = max(len(ids), len(negative_ids))
        ids, negative_ids = _padded(ids, longest, pad), _padded(negative_ids, longest, pad)
    return _embed(ids, encode, block), _embed(negative_ids, encode, block)


def _padded(ids: list[int], length: int, pad: int) -> list[int]:
    return ids + [pad] * (length - len(ids))


def _embed(ids: list[int], encode: Encode, block: int) -> Embedded:
    blocks = [ids[start : start + block] for start in range(0, len(ids), block)]
    states = torch.cat([encode(torch.tensor([part])) for part in blocks], dim=1)
    return Embedded(tuple(ids), tuple(map(len, blocks)), states)
