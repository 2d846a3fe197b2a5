"""Encode batches of prompts to the text states of the UNet (methods.md A.12, B.6).

VLCP has no limit of 77 tokens (B.6): prompts are neither padded nor truncated, but encoded in separate
blocks. Positions restart in each block, and later blocks have no start token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from uvlp.models.quiet import quiet

Tokenize = Callable[[str], list[int]]
"""Text to ids with start and end token, neither padded nor truncated."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Ids int64 [B, n] of at most one block to the last hidden states [B, n, d], on any device."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Text states of a batch.

    Attributes:
        positive, negative: [B, L, d].
        mask: [B, L], 1 for states of the prompt and 0 for padding; None if all prompts have the same length.
    """

    positive: torch.Tensor
    negative: torch.Tensor
    mask: torch.Tensor | None


class PromptEncoder:
    """Tokenizer and text encoder of a Stable Diffusion pipeline, for one negative prompt.

    Args:
        pipeline: any pipeline with both.
        negative: the negative prompt; embedded once per length.
        long: embed without padding and truncation, as VLCP does; otherwise truncate and pad to the encoder's
            length.
    """

    def __init__(self, pipeline: Any, negative: str, long: bool) -> None:
        self._pipeline, self._negative, self._long = pipeline, negative, long
        self._tokenizer, self._encoder = pipeline.tokenizer, pipeline.text_encoder
        self._negatives: dict[int, torch.Tensor] = {}

    def length(self, prompt: str) -> int:
        """Return the number of text states of a prompt."""
        return len(self._ids(prompt)) if self._long else self._tokenizer.model_max_length

    @torch.inference_mode()
    def embed(self, prompts: Sequence[str]) -> Embedded:
        """Embed prompts that may differ in length; the shorter ones are padded and masked."""
        with quiet():
            if not self._long:
                positive = self._standard(list(prompts))
                return Embedded(positive, self._negative_of(positive.shape[1]).expand_as(positive), None)
            rows = [self._ids(prompt) for prompt in prompts]
            lengths = [len(ids) for ids in rows]
            shape = len(rows), max(lengths), self._encoder.config.hidden_size
            positive = torch.zeros(shape, device=self._encoder.device, dtype=self._encoder.dtype)
            negative = positive.clone()
            for length in sorted(set(lengths)):
                same = [row for row, other in enumerate(lengths) if other == length]
                positive[same, :length] = self._states([rows[row] for row in same])
                negative[same, :length] = self._negative_of(length)
        return Embedded(positive, negative, self._mask(lengths))

    def _mask(self, lengths: list[int]) -> torch.Tensor | None:
        if len(set(lengths)) == 1:
            return None
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        return mask.to(self._encoder.device, self._encoder.dtype)

    def _ids(self, prompt: str) -> list[int]:
        def tokenize(text: str) -> list[int]:
            ids: list[int] = self._tokenizer(text, truncation=False, verbose=False).input_ids
            return ids

        pad = self._tokenizer.pad_token_id
        return pair_ids(prompt, self._negative, tokenize, pad)[0]

    def _states(self, rows: Sequence[list[int]]) -> torch.Tensor:
        def encode(ids: torch.Tensor) -> torch.Tensor:
            return self._encoder(ids.to(self._encoder.device)).last_hidden_state

        return states(rows, encode, self._tokenizer.model_max_length)

    def _standard(self, prompts: list[str]) -> torch.Tensor:
        return self._pipeline.encode_prompt(prompts, self._encoder.device, 1, False)[0]

    def _negative_of(self, length: int) -> torch.Tensor:
        """Return states [1, L, d] of the negative prompt at the length of a prompt."""
        if length not in self._negatives:
            if self._long:
                ids = self._tokenizer(self._negative, truncation=False).input_ids
                ids = padded(ids, length, self._tokenizer.pad_token_id)
                self._negatives[length] = self._states([ids])
            else:
                self._negatives[length] = self._standard([self._negative])
        return self._negatives[length]


def pair_ids(
    prompt: str, negative: str, tokenize: Tokenize, pad: int, *, equalise: bool = True
) -> tuple[list[int], list[int]]:
    """Return the ids of a prompt and of its negative prompt.

    The one with more space-separated words keeps its length and the other is padded to it. A prompt of
    three or four short words has more words but fewer tokens than the negative, so that the lengths differ
    and the pipeline refuses the pair.

    Args:
        prompt, negative: texts.
        tokenize: the pipeline's tokenizer.
        pad: id of the pad token.
        equalise: pad the shorter one also in that case (E37), so that the negative's ids depend only on the
            length; False is the reference.
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
    """Return text states [B, L, d] of B texts of L ids each, encoded block by block."""
    ids = torch.tensor(rows)
    return torch.cat([encode(part) for part in ids.split(block, dim=1)], dim=1)


def padded(ids: list[int], length: int, pad: int) -> list[int]:
    """Append ``pad`` to the ids up to ``length``."""
    return ids + [pad] * (length - len(ids))
