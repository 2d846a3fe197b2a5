"""Rows of metadata.jsonl: invalid lines are named, names are resolved as in methods.md."""

from pathlib import Path

import pytest

from uvlp.artifacts.metadata_jsonl import parse, resolve
from uvlp.core.errors import UvlpError

NAMES = ("cat/1.png", "cat/2.png", "dog/1.png", "dog/deep/9.png")


def write(folder: Path, content: bytes | str) -> Path:
    path = folder / "metadata.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def row(name: str, text: str) -> str:
    return f'{{"file_name": "{name}", "text": "{text}", "label": 3}}\n'


def test_rows_are_read_and_blank_lines_skipped(tmp_path: Path) -> None:
    content = row("cat/1.png", "a cät") + "\n  \r\n" + row("./dog/1.png", "")
    metadata = parse(write(tmp_path, b"\xef\xbb\xbf" + content.encode()))
    assert dict(metadata.texts) == {"cat/1.png": "a cät", "dog/1.png": ""}
    assert metadata.duplicates == 0


def test_last_of_several_rows_counts(tmp_path: Path) -> None:
    metadata = parse(
        write(tmp_path, row("a.png", "one") + row("b.png", "x") + row("a.png", "two") + row("./a.png", "3"))
    )
    assert (dict(metadata.texts), metadata.duplicates) == ({"a.png": "3", "b.png": "x"}, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"file_name": "a.png", "text": ', "not JSON"),
        (b"no json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["a.png", "text"]', "not a JSON object"),
        (b"3", "not a JSON object"),
        (b'{"file_name": "a.png"}', "no field 'text'"),
        (b'{"text": "a"}', "no field 'file_name'"),
        (b"{}", "no fields"),
        (b'{"file_name": "a.png", "text": null}', "'text' is not a text"),
        (b'{"file_name": 3, "text": "a"}', "'file_name' is not a text"),
        (b'{"file_name": "a.png", "text": "\\ud800"}', "lone surrogate"),
        ('{"file_name": "a.png", "text": "ö"}'.encode("latin-1"), "not UTF-8"),
    ],
)
def test_invalid_line_is_named_with_its_number(line: bytes, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, row("z.png", "fine").encode() + b"\n" + line + b"\n")
    with pytest.raises(UvlpError) as caught:
        parse(path)
    assert caught.value.what.startswith(f"{path}, line 3: ")
    assert message in f"{caught.value.what} {caught.value.got}"
    assert "\n" not in str(caught.value)


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        parse(tmp_path / "metadata.jsonl")
    assert "metadata.jsonl" in caught.value.what and "No such file" in str(caught.value.got)


def test_exact_path_precedes_the_bare_name() -> None:
    texts = {"9.png": "bare", "dog/deep/9.png": "exact", "2.png": "two"}
    assert resolve(texts, NAMES, "m") == {"dog/deep/9.png": "exact", "cat/2.png": "two"}


def test_captions_without_an_image_are_named_and_counted() -> None:
    texts = dict.fromkeys(["cat/7.png", "x.png", "../cat/1.png", "/cat/1.png", "cat/1.png"], "t")
    with pytest.raises(UvlpError) as caught:
        resolve(texts, NAMES, "m")
    assert caught.value.what == "m: 4 captions for images that do not exist"
    assert caught.value.got == "cat/7.png, x.png, ../cat/1.png and 1 more"


def test_ambiguous_bare_name_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        resolve({"1.png": "which?"}, NAMES, "m")
    assert "1 bare file names" in caught.value.what and caught.value.got == "1.png"
