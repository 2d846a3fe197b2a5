"""Words of the command line as bash hands them to a completion: split at colons and equals signs."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator

from uvlp.core.files.lines import split_lines

VARIABLE, BASH = "_UVLP_COMPLETE", "complete_bash"
BREAKS = (":", "=")
"""Characters at which bash splits a word."""


def join_words(words: list[str], number: int) -> tuple[list[str], int, str]:
    """Return words that bash has split, e.g. at the colon of ``uvlp:no-outliers``, as they were typed.

    Args:
        words: of the command line, as in ``COMP_WORDS``.
        number: which of them is completed.

    Returns:
        The joined words; the number of the one that is completed; its part before the word of bash.
    """
    joined: list[str] = []
    now, before = number, ""
    for index, word in enumerate(words):
        follows = index > 0 and (word[:1] in BREAKS or words[index - 1][-1:] in BREAKS) and len(joined) > 1
        if index == number:
            before = joined[-1] if follows else ""
            now = len(joined) - 1 if follows else len(joined)
            if word in BREAKS:  # bash replaces what follows it
                before += word
        if follows:
            joined[-1] += word
        else:
            joined.append(word)
    return joined, min(now, len(joined)), before


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Complete the words as they were typed in the block, if it is bash that asks; see `join_words`."""
    typed, number = os.environ.get("COMP_WORDS", ""), os.environ.get("COMP_CWORD", "")
    if os.environ.get(VARIABLE) != BASH or "\n" not in typed or not number.isdecimal():
        yield
        return
    words, now, before = join_words(typed.split("\n"), int(number))
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(now)
    if before.startswith("-"):  # an option, whose value alone is completed
        before = before.partition("=")[2]
    found = io.StringIO()
    try:
        with contextlib.redirect_stdout(found):
            yield
    finally:
        print("\n".join(line.removeprefix(before) for line in split_lines(found.getvalue())))
