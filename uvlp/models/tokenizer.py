"""A CLIP tokenizer trained on the captions of one dataset, laid out as OpenAI's.

Ids: 256 bytes, the same with the end-of-word mark, the merges, start of text, end of text. The last
one is the largest, because open_clip pools text at the largest id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

START, END = "<|startoftext|>", "<|endoftext|>"
LARGEST_VOCABULARY = 4096


def train(texts: Iterable[str], context_length: int, folder: Path) -> int:
    """Learn merges from ``texts`` and save a transformers CLIPTokenizer into ``folder``.

    Every word that occurs becomes one token while the vocabulary lasts; any other text is cut
    into shorter pieces, down to bytes, and never becomes an unknown token.

    Returns:
        The size of the vocabulary; the id of the end of text is one less.
    """
    from transformers import CLIPTokenizer

    merges: Any = _learn_merges(sorted(set(texts)), CLIPTokenizer().backend_tokenizer)
    letters = _letters()
    whole = dict.fromkeys(
        [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), START, END]
    )
    vocabulary = {token: index for index, token in enumerate(whole)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=context_length)
    tokenizer.save_pretrained(folder)
    return len(vocabulary)


def _letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _learn_merges(texts: list[str], clip: Any) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent first, under the normaliser and word rule of ``clip``."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=LARGEST_VOCABULARY,
        initial_alphabet=_letters(),
        # Ties between merges are broken by ids, and letters with the end-of-word mark would otherwise get
        # theirs in the chance order of a hash map. As special tokens they are numbered in this order.
        special_tokens=[letter + "</w>" for letter in _letters()],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]
