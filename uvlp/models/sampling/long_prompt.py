"""VLCP's prompt embedding without the limit of 77 tokens (methods.md B.6).

Neither padded nor cut to 77: a prompt has as many tokens as its caption needs, in blocks that the text
encoder sees separately. Positions start again in each block, and later blocks have no start token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Tokenize = Callable[[str], list[int]]
"""Text to ids with start and end token, neither padded nor cut."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Ids int64 [B, n], n at most one block, to the last hidden states [B, n, d], on any device."""


def pair_ids(
    prompt: str, negative: str, tokenize: Tokenize, pad: int, *, equalise: bool = True
) -> tuple[list[int], list[int]]:
    """Ids of a prompt and of its negative prompt.

    The one with more blank-separated pieces keeps its length and the other is padded to it. A prompt of
    three or four short words has more pieces and fewer tokens than the negative, so that lengths differ
    and the pipeline refuses the pair.

    Args:
        prompt, negative: texts.
        tokenize: the pipeline's tokenizer.
        pad: id of the pad token.
        equalise: pad the shorter one also in that case (E37), so that the negative's ids depend on nothing
            but the length; False is the reference.
    """
    ids, negative_ids = tokenize(prompt), tokenize(negative)
    if len(prompt.split(" ")) >= len(negative.split(" ")):
        negative_ids = padded(negative_ids, len(ids), pad)
    else:
        ids = padded(ids, len(negative_ids), pad)
    if equalise:
        longest = max(len(ids), len(negative_ids))
        ids, negative_ids = padded(ids, longest, pad), padded(negative_ids, longest, pad)
    return ids, negative_ids


def states(rows: Sequence[list[int]], encode: Encode, block: int = 77) -> torch.Tensor:
    """Embeddings [B, L, d] of B texts of L ids each; the encoder sees one block of ids at a time."""
    ids = torch.tensor(rows)
    return torch.cat([encode(part) for part in ids.split(block, dim=1)], dim=1)


def padded(ids: list[int], length: int, pad: int) -> list[int]:
    """The ids with ``pad`` behind them, up to ``length``."""
    return ids + [pad] * (length - len(ids))
