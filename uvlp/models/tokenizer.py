"""A CLIP tokenizer trained on the captions of one dataset, with the structure of OpenAI's.

Ids: 256 bytes, the same with the end-of-word mark, the merges, start of text, end of text. The last
one is the largest, because open_clip pools text at the largest id.

`ClauseTokens` tokenizes every clause once. While an embedder is trained, clauses are dropped from its
captions at random, so that few texts repeat, and the tokenizer is slower than a training step on a GPU
(measured for 512 captions on one busy core: 180 ms; 10 ms here).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

START, END = "<|startoftext|>", "<|endoftext|>"
LARGEST_VOCABULARY = 4096


def train(texts: Iterable[str], context_length: int, folder: Path) -> int:
    """Learn merges from ``texts`` and save a transformers CLIPTokenizer to ``folder``.

    Every word in the texts becomes one token, up to the maximum vocabulary; any other text is split
    into shorter tokens, down to bytes, and never becomes an unknown token.

    Returns:
        The size of the vocabulary; the id of end of text is one less.
    """
    from transformers import CLIPTokenizer

    merges: Any = _learn_merges(sorted(set(texts)), CLIPTokenizer().backend_tokenizer)
    letters = _letters()
    tokens = dict.fromkeys(
        [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), START, END]
    )
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=context_length)
    tokenizer.save_pretrained(folder)
    return len(vocabulary)


def _letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _learn_merges(texts: list[str], clip: Any) -> list[tuple[str, str]]:
    """Return byte-pair merges, most frequent first, with the normaliser and pre-tokenizer of ``clip``."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=LARGEST_VOCABULARY,
        initial_alphabet=_letters(),
        # Ties between merges are broken by ids, and letters with the end-of-word mark would otherwise be
        # numbered in the random order of a hash map. As special tokens they are numbered in this order.
        special_tokens=[letter + "</w>" for letter in _letters()],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]


SEPARATOR = ", "
PLAIN = re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*")
"""Clauses whose tokens do not depend on their neighbours."""


class ClauseTokens:
    """Equivalent to the open_clip tokenizer ``tokenizer``, with a cache of clauses."""

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer, self._length = tokenizer, length
        self._known: dict[str, list[int]] = {}
        start, *comma, end = self._ids(",")
        self._start, self._comma, self._end = start, comma, end
        self._padding = int(tokenizer([""])[0, -1])

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Return ids int64 [N, L]: start, the tokens up to the length, end, padding."""
        # Through numpy: torch takes twice as long for nested lists.
        return torch.from_numpy(numpy.array([self._row(text) for text in texts], numpy.int64))

    def _row(self, text: str) -> list[int]:
        clauses = text.split(SEPARATOR)
        if not all(map(PLAIN.fullmatch, clauses)):
            ids: list[int] = self._tokenizer([text])[0].tolist()
            return ids
        inner = list(self._clause(clauses[0]))
        for clause in clauses[1:]:
            inner += self._comma
            inner += self._clause(clause)
        row = [self._start, *inner[: self._length - 2], self._end]
        return row + [self._padding] * (self._length - len(row))

    def _clause(self, clause: str) -> list[int]:
        if clause not in self._known:
            self._known[clause] = self._ids(clause)[1:-1]
        return self._known[clause]

    def _ids(self, text: str) -> list[int]:
        """Return the ids of ``text`` without padding, truncated to the length of a row."""
        ids: list[int] = self._tokenizer.tokenizer(text, truncation=True, max_length=self._length).input_ids
        return ids
