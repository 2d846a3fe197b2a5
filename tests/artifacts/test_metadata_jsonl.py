"""Rows of metadata.jsonl: every broken line is named, names are resolved as methods.md says."""

from pathlib import Path

import pytest

from uvlp.artifacts.metadata_jsonl import parse, resolve
from uvlp.core.errors import UvlpError

NAMES = ("cat/1.png", "cat/2.png", "dog/1.png", "dog/deep/9.png")


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "metadata.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def row(name: str, text: str) -> str:
    return f'{{"file_name": "{name}", "text": "{text}", "label": 3}}\n'


def test_rows_are_read_and_blank_lines_skipped(tmp_path: Path) -> None:
    content = row("cat/1.png", "a cät") + "\n  \r\n" + row("./dog/1.png", "")
    found = parse(written(tmp_path, b"\xef\xbb\xbf" + content.encode()))
    assert dict(found.texts) == {"cat/1.png": "a cät", "dog/1.png": ""}
    assert found.duplicates == 0


def test_the_last_of_several_rows_counts(tmp_path: Path) -> None:
    found = parse(
        written(tmp_path, row("a.png", "one") + row("b.png", "x") + row("a.png", "two") + row("./a.png", "3"))
    )
    assert (dict(found.texts), found.duplicates) == ({"a.png": "3", "b.png": "x"}, 2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"file_name": "a.png", "text": ', "not JSON"),
        (b"no json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["a.png", "text"]', "not a JSON object"),
        (b"3", "not a JSON object"),
        (b'{"file_name": "a.png"}', "no field 'text'"),
        (b'{"text": "a"}', "no field 'file_name'"),
        (b"{}", "no field at all"),
        (b'{"file_name": "a.png", "text": null}', "'text' is not a text"),
        (b'{"file_name": 3, "text": "a"}', "'file_name' is not a text"),
        (b'{"file_name": "a.png", "text": "\\ud800"}', "half a character"),
        ('{"file_name": "a.png", "text": "ö"}'.encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_broken_line_is_named_with_its_number(line: bytes, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, row("z.png", "fine").encode() + b"\n" + line + b"\n")
    with pytest.raises(UvlpError, match=r"metadata\.jsonl, line 3: ") as caught:
        parse(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UvlpError, match=r"cannot read .*metadata\.jsonl.*No such file"):
        parse(tmp_path / "metadata.jsonl")


def test_the_exact_path_comes_before_the_bare_name() -> None:
    texts = {"9.png": "bare", "dog/deep/9.png": "exact", "2.png": "two"}
    assert resolve(texts, NAMES, "m") == {"dog/deep/9.png": "exact", "cat/2.png": "two"}


def test_a_caption_without_an_image_is_named_and_counted() -> None:
    texts = dict.fromkeys(["cat/7.png", "x.png", "../cat/1.png", "/cat/1.png", "cat/1.png"], "t")
    with pytest.raises(
        UvlpError, match=r"m: 4 captions for images that do not exist: .*cat/7.png, x.png, .* and 1 more"
    ):
        resolve(texts, NAMES, "m")


def test_a_bare_name_of_several_images_is_refused() -> None:
    with pytest.raises(UvlpError, match=r"1 bare file names that several images have: got '1.png'"):
        resolve({"1.png": "which?"}, NAMES, "m")
