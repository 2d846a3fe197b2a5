"""Imported captions: refused after a change, replaced safely under interruption."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flipping import flip
from uvlp.captioners.texts import imported
from uvlp.core import hashing
from uvlp.core.errors import UvlpError

FIRST, SECOND = {"cat/0.png": "a cat"}, {"cat/0.png": "a cat on a chair", "cat/1.png": ""}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "imported" / "folder-0.jsonl"
    imported.write(path, FIRST)
    return path


def test_imported_captions_are_read(path: Path) -> None:
    sha256 = imported.sha256(path)
    assert sha256 == hashing.file_sha256(path)
    assert imported.read(path, ["cat/0.png"], sha256) == FIRST


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_corrupted_file_is_neither_used_nor_replaced(path: Path, share: float) -> None:
    flip(path, share)
    content = path.read_bytes()
    for use in (lambda: imported.sha256(path), lambda: imported.write(path, SECOND)):
        with pytest.raises(UvlpError) as caught:
            use()
        assert caught.value.got == str(path)
        assert caught.value.fix is not None and "folder-0.sha256" in caught.value.fix
    assert path.read_bytes() == content
    path.unlink()  # the first suggested fix
    imported.write(path, SECOND)
    assert imported.sha256(path)
    flip(path, share)
    path.with_suffix(".sha256").unlink()  # the second
    assert imported.sha256(path) == hashing.file_sha256(path)


def test_a_killed_import_leaves_the_earlier_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(imported, "write_utf8", killed)
        with pytest.raises(KeyboardInterrupt):
            imported.write(path, SECOND)
    assert path.read_bytes() == before and imported.sha256(path) == hashing.file_sha256(path)
    imported.write(path, SECOND)
    assert imported.read(path, ["cat/0.png"], imported.sha256(path)) == {"cat/0.png": "a cat on a chair"}


def test_captions_of_an_earlier_version_have_no_hash(path: Path) -> None:
    path.with_suffix(".sha256").unlink()
    assert imported.sha256(path) == hashing.file_sha256(path)


def test_a_corrupted_hash_file_is_ignored(path: Path) -> None:
    flip(path.with_suffix(".sha256"))
    assert imported.sha256(path) == hashing.file_sha256(path)
