"""Lines that keep to a width."""

import io

import pytest

from uvlp.core.display.width import NARROWEST, columned, columns, tabulated, wrapped


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
    blocks = ["ok  packages", "    all of them are", "    here", "FAIL  disk      full"]
    assert columned(rows, 22) == blocks
    assert columned([], 40) == []


def test_a_table_becomes_blocks_where_it_is_too_wide() -> None:
    head, body = ("stage", "time", "disk"), [("embed", "2 min", "1.2 GB"), ("total", "2 min", "-")]
    table = ["stage  time   disk", "embed  2 min  1.2 GB", "total  2 min  -"]
    assert tabulated(head, body, None) == tabulated(head, body, 20) == table
    embed, total = ["embed", "  time: 2 min", "  disk: 1.2 GB"], ["total", "  time: 2 min", "  disk: -"]
    assert tabulated(head, body, 19) == [*embed, *total]
