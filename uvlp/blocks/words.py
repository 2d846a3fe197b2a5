"""Words of a caption and stop words (methods.md B.5).

The tokenizer is a rule of our own that gives the alphabetic tokens of nltk's Treebank tokenizer; nltk's
English stop words are listed without those that contain an apostrophe, which can never match.
"""

from __future__ import annotations

import re

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
    """The purely alphabetic tokens, lower-cased; hyphenated words and numbers are not among them."""
    return [token.lower() for token in tokens(text) if token.isalpha()]


def _split(piece: str) -> list[str]:
    """One blank-separated piece without quotes and final dot around it, contractions taken apart."""
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
