"""Tokens, words and text prototypes beyond the golden cases."""

from __future__ import annotations

import pytest

from uvlp.methods.algorithms.typical_captions import choose, tokens, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("A 'big' dog.", ["A", "'", "big", "'", "dog", "."]),
        ("DON'T stop", ["DO", "N'T", "stop"]),
        ("fur:brown, 3:4", ["fur", ":", "brown", ",", "3:4"]),
        ("long-haired a/b", ["long-haired", "a/b"]),
        ("wait...what", ["wait", "...", "what"]),
        ("we've they'll I'd", ["we", "'ve", "they", "'ll", "I", "'d"]),
        ("CANNOT", ["CAN", "NOT"]),
    ],
)
def test_texts_are_split_into_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_only_alphabetic_tokens_are_words() -> None:
    assert words("A long-haired dog, 3 years old; image.Include it's tail.") == (
        ["a", "dog", "years", "old", "it", "tail"]
    )


def test_missing_captions_are_never_chosen() -> None:
    captions = ["", "Curly fur", "", "flat ears, flat nose"]
    result = choose(captions, [0, 0, 1, 2], "dog", 0.7, 5, 4)
    assert [text.index for text in result] == [1, None, 3, None]
    assert [text.text for text in result] == ["Curly fur", "", "flat ears, flat nose", ""]
    # "curly" is not a substring of "Curly fur"; a word counts its occurrences in the cluster.
    assert [text.score for text in result] == [1, 0, 4, 0]
    assert result[2].words == (("flat", 2), ("ears", 1), ("nose", 1))
