"""Lines that keep to a width."""

import io

import pytest

from uvlp.core.display.width import NARROWEST, columned, columns, wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("given", "width"), [("40", 40), ("5", NARROWEST), ("", None), ("wide", None), ("0", None), ("²", None)]
)
def test_the_variable_names_the_width(monkeypatch: pytest.MonkeyPatch, given: str, width: int | None) -> None:
    monkeypatch.setenv("COLUMNS", given)
    assert columns(io.StringIO()) == width
    assert columns(Terminal()) == width  # it has no descriptor to ask
    assert columns(None) == width


def test_words_are_not_broken_and_a_list_keeps_its_place() -> None:
    assert wrapped("one two three", 8, 2) == ["one two", "  three"]
    assert wrapped("a /very/long/path here", 8, 2) == ["a", "  /very/long/path", "  here"]
    assert wrapped("  - one two three", 10) == ["  - one", "  two", "  three"]
    assert wrapped("any\nlines that are long", None) == ["any", "lines that are long"]


def test_columns_become_blocks_where_they_have_no_room() -> None:
    rows = [("ok", "packages", "all of them are here"), ("FAIL", "disk", "full")]
    assert columned(rows, None) == ["ok    packages  all of them are here", "FAIL  disk      full"]
    assert columned(rows, 32) == [
        "ok    packages  all of them are",
        "                here",
        "FAIL  disk      full",
    ]
    assert columned(rows, 22) == ["ok  packages", "    all of them are", "    here", "FAIL  disk", "    full"]
    assert columned([], 40) == []
