"""VLCP's text prototypes: the caption of each cluster with its most typical words (methods.md B.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uvlp.blocks.words import STOP_WORDS, words


@dataclass(frozen=True, slots=True)
class TextPrototype:
    """The text of one cluster.

    Attributes:
        text: a caption, or the empty string when none scores above 0 (E35).
        index: its position among the captions of the class, None for the empty string.
        score: sum of the counts of the words found in it.
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
    """One text per cluster, in cluster order.

    Args:
        captions: captions of the class's surviving images, in visiting order.
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
        place, score = best_caption([captions[index] for index in members], dict(typical))
        index = None if place is None else members[place]
        text = "" if index is None else captions[index]
        chosen.append(TextPrototype(text, index, score, tuple(typical)))
    return chosen


def common_words(vocabulary: Sequence[Sequence[str]], threshold: float) -> set[str]:
    """Words, stop words apart, that occur in at least ``threshold`` of the captions (given as words)."""
    frequency = Counter(word for caption in vocabulary for word in set(caption))
    limit = threshold * len(vocabulary)
    return {word for word, count in frequency.items() if count >= limit} - STOP_WORDS


def best_caption(captions: Sequence[str], counts: Mapping[str, int]) -> tuple[int | None, int]:
    """Position and score of the first caption with the highest score; (None, 0) if none scores.

    A word counts once, wherever it occurs as a substring of the caption with its capitals, as published:
    "art" scores in "party", "white" does not in "White fur" (E34).
    """
    best, place = 0, None
    for position, caption in enumerate(captions):
        score = sum(count for word, count in counts.items() if word in caption)
        if score > best:
            best, place = score, position
    return place, best
