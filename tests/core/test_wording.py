"""Lists are cut after three names and say how many follow."""

import pytest

from uvlp.core.wording import first_few


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
def test_at_most_three_names_are_shown(names: str, line: str) -> None:
    assert first_few(names) == line
