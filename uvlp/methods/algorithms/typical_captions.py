"""VLCP's text prototypes: the caption of each cluster with its most typical words (methods.md B.5).

Words are the alphabetic tokens of nltk's Treebank tokenizer, reimplemented here; nltk's English stop words
are listed without those that contain an apostrophe, which never match.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextPrototype:
    """The text of one cluster.

    Attributes:
        text: a caption, or the empty string if none scores above 0 (E35).
        index: its index among the captions of the class; None for the empty string.
        score: sum of the counts of the typical words in it.
        words: the typical words with their counts, most frequent first.
    """

    text: str
    index: int | None
    score: int
    words: tuple[tuple[str, int], ...]


def choose(
    captions: Sequence[str],
    labels: Sequence[int],
    class_string: str,
    threshold: float,
    top_words: int,
    clusters: int,
) -> list[TextPrototype]:
    """Choose one text per cluster, in cluster order.

    Args:
        captions: captions of the class's inliers, in visiting order.
        labels: cluster of each caption.
        class_string: words that are substrings of it are dropped; case-sensitive, as published (E34).
        threshold: words in at least this share of the captions are dropped.
        top_words: typical words per cluster.
        clusters: number of clusters; an empty one gets the empty string.
    """
    assert len(captions) == len(labels)
    vocabulary = [words(caption) for caption in captions]
    dropped = STOP_WORDS | common_words(vocabulary, threshold)
    chosen = []
    for cluster in range(clusters):
        members = [index for index, label in enumerate(labels) if label == cluster]
        typical = Counter(
            word
            for index in members
            for word in vocabulary[index]
            if word not in dropped and word not in class_string
        ).most_common(top_words)
        best, score = best_caption([captions[index] for index in members], dict(typical))
        index = None if best is None else members[best]
        text = "" if index is None else captions[index]
        chosen.append(TextPrototype(text, index, score, tuple(typical)))
    return chosen


def common_words(vocabulary: Sequence[Sequence[str]], threshold: float) -> set[str]:
    """Words except stop words that occur in at least ``threshold`` of the captions (given as words)."""
    frequency = Counter(word for caption in vocabulary for word in set(caption))
    limit = threshold * len(vocabulary)
    return {word for word, count in frequency.items() if count >= limit} - STOP_WORDS


def best_caption(captions: Sequence[str], counts: Mapping[str, int]) -> tuple[int | None, int]:
    """Index and score of the first caption with the highest score; (None, 0) if none scores.

    A word counts once if it is a case-sensitive substring of the caption, as published:
    "art" scores in "party", "white" does not in "White fur" (E34).
    """
    highest, best = 0, None
    for index, caption in enumerate(captions):
        score = sum(count for word, count in counts.items() if word in caption)
        if score > highest:
            highest, best = score, index
    return best, highest


_SEPARATED = re.compile(r"\.{2,}|--|[;@#$%&?!*()\[\]{}<>\"]|[,:](?!\d)")
_CONTRACTION = re.compile(r"(.+?)(n't|'(?:s|m|d|ll|re|ve))", re.IGNORECASE)
_DOTS = re.compile(r"\.{2,}")

_STOP_WORDS = """
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her
hers herself it its itself they them their theirs themselves what which who whom this that these
those am is are was were be been being have has had having do does did doing a an the and but if or
because as until while of at by for with about against between into through during before after
above below to from up down in out on off over under again further then once here there when where
why how all any both each few more most other some such no nor not only own same so than too very s
t can will just don should now d ll m o re ve y ain aren couldn didn doesn hadn hasn haven isn ma
mightn mustn needn shan shouldn wasn weren won wouldn
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def tokens(text: str) -> list[str]:
    """Tokens of a text, in order."""
    pieces = _SEPARATED.sub(lambda match: f" {match.group()} ", text).split()
    return [token for piece in pieces for token in _split(piece)]


def words(text: str) -> list[str]:
    """The purely alphabetic tokens in lower case, without hyphenated words and numbers."""
    return [token.lower() for token in tokens(text) if token.isalpha()]


def _split(piece: str) -> list[str]:
    """Split off quotes and a final dot from a whitespace-separated piece, and split contractions."""
    if _DOTS.fullmatch(piece):
        return [piece]
    core = piece.lstrip("'")
    before = ["'"] * (len(piece) - len(core))
    after: list[str] = []
    for mark in (".", "'"):
        if core.endswith(mark):
            core = core[:-1]
            after.insert(0, mark)
    return [*before, *_contractions(core), *after]


def _contractions(word: str) -> list[str]:
    match = _CONTRACTION.fullmatch(word)
    if match:
        return list(match.groups())
    if word.lower() == "cannot":
        return [word[:3], word[3:]]
    return [word] if word else []
