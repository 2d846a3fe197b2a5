"""The limit on caption files that are read as one value: refused by their size, before a byte is held."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uvlp.captioners.texts import tables
from uvlp.core.errors import UvlpError

TOO_MANY_BYTES = 500_000_000
WHOLE = {
    "a list": ("c.json", b'[{"file_name": "cat/0.png", "text": "a cat"}'),
    "one object on many lines": ("c.json", b'{\n"cat/0.png": "a cat",\n'),
    "a table": ("c.csv", b"file_name,text\ncat/0.png,a cat\n"),
    "a table by its ending": ("c.tsv", b"file_name\ttext\ncat/0.png\ta cat\n"),
}
LINES = b'{"file_name": "cat/0.png", "text": "a cat"}\n{"file_name": "cat/1.png", "text": "a cat"}\n'


def sparse(path: Path, begin: bytes) -> Path:
    """A file that begins so and is too large, of which the disk holds the beginning alone."""
    path.write_bytes(begin)
    os.truncate(path, TOO_MANY_BYTES)
    return path


@pytest.mark.parametrize(("name", "begin"), WHOLE.values(), ids=WHOLE)
def test_what_is_read_whole_is_refused_above_the_limit(tmp_path: Path, name: str, begin: bytes) -> None:
    path = sparse(tmp_path / name, begin)
    with pytest.raises(UvlpError) as found:
        list(tables.read(path, "a row"))
    assert str(path) in found.value.what
    assert (found.value.got, found.value.allowed) == ("500.0 MB", "at most 400.0 MB")
    assert found.value.fix is not None and "one JSON object per line" in found.value.fix


def test_lines_are_read_one_by_one_at_any_size(tmp_path: Path) -> None:
    path = sparse(tmp_path / "c.jsonl", LINES)
    rows = tables.read(path, "a row")
    assert [next(rows)[1]["file_name"] for _ in range(2)] == ["cat/0.png", "cat/1.png"]


@pytest.mark.parametrize("above", [0, 1])
def test_the_limit_is_the_last_size_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: int
) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(WHOLE["a table"][1])
    monkeypatch.setattr(tables, "LONGEST_WHOLE_BYTES", path.stat().st_size - above)
    if above:
        with pytest.raises(UvlpError):
            list(tables.read(path, "a row"))
    else:
        assert [row for _, row in tables.read(path, "a row")] == [{"file_name": "cat/0.png", "text": "a cat"}]
