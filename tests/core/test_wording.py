"""Lists are cut after three names, followed by the number of others."""

import pytest

from uvlp.core.errors import UvlpError
from uvlp.core.wording import cut, first_few


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ("", ""),
        ("a", "a"),
        ("abc", "a, b, c"),
        ("abcd", "a, b, c and 1 more"),
        ("abcdefgh", "a, b, c and 5 more"),
    ],
)
def test_first_few_shows_at_most_three_names(names: str, line: str) -> None:
    assert first_few(names) == line


def test_long_text_is_cut_in_its_middle() -> None:
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 9) == "abc...ijk"
    assert len(first_few(["x" * 5000, "y" * 5000])) == 2 * 199 + 2


def test_error_message_has_bounded_length_and_keeps_the_value() -> None:
    got = ", ".join(f"key {number}" for number in range(100_000))
    error = UvlpError(f"a name {got}", got=got, fix="x")
    assert error.got == got and error.fix == "x"
    assert len(str(error)) < 2_100 and str(error).endswith("; x") and "key 99999" in str(error)
