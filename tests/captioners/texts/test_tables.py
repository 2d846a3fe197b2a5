"""The size limit of caption files that are read as one value is checked before reading."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uvlp.captioners.texts import tables
from uvlp.core.errors import UvlpError

TOO_MANY_BYTES = 500_000_000
FORMATS = {
    "a list": ("c.json", b'[{"file_name": "cat/0.png", "text": "a cat"}'),
    "one object on many lines": ("c.json", b'{\n"cat/0.png": "a cat",\n'),
    "a table": ("c.csv", b"file_name,text\ncat/0.png,a cat\n"),
    "a table by its suffix": ("c.tsv", b"file_name\ttext\ncat/0.png\ta cat\n"),
}
LINES = b'{"file_name": "cat/0.png", "text": "a cat"}\n{"file_name": "cat/1.png", "text": "a cat"}\n'


def sparse(path: Path, start: bytes) -> Path:
    """A sparse file above the limit with that start."""
    path.write_bytes(start)
    os.truncate(path, TOO_MANY_BYTES)
    return path


@pytest.mark.parametrize(("name", "start"), FORMATS.values(), ids=FORMATS)
def test_files_read_as_one_value_are_refused_above_the_limit(tmp_path: Path, name: str, start: bytes) -> None:
    path = sparse(tmp_path / name, start)
    with pytest.raises(UvlpError) as caught:
        list(tables.read(path, "a row"))
    assert str(path) in caught.value.what
    assert (caught.value.got, caught.value.allowed) == ("500.0 MB", "at most 400.0 MB")
    assert caught.value.fix is not None and "one JSON object per line" in caught.value.fix


def test_lines_are_read_one_by_one_from_files_of_any_size(tmp_path: Path) -> None:
    path = sparse(tmp_path / "c.jsonl", LINES)
    rows = tables.read(path, "a row")
    assert [next(rows)[1]["file_name"] for _ in range(2)] == ["cat/0.png", "cat/1.png"]


@pytest.mark.parametrize("above", [0, 1])
def test_files_of_exactly_the_limit_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: int
) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(FORMATS["a table"][1])
    monkeypatch.setattr(tables, "LARGEST_BYTES", path.stat().st_size - above)
    if above:
        with pytest.raises(UvlpError):
            list(tables.read(path, "a row"))
    else:
        assert [row for _, row in tables.read(path, "a row")] == [{"file_name": "cat/0.png", "text": "a cat"}]
