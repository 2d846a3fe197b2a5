"""A file exists under its name completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uvlp.core.files.writing import complete_file, keep_folder, write_utf8


def test_written_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_utf8(tmp_path / "a.txt", "é\n")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "é\n"
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_utf8(path, "\ud800")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    with complete_file(path) as unfinished:
        unfinished.write_bytes(b"half")
        assert not path.exists() and unfinished.parent == path.parent
        unfinished.write_bytes(b"whole")
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"] and path.read_bytes() == b"whole"


def test_finished_folder_is_moved_with_the_permissions_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "made" / "inner").mkdir(parents=True)
    (tmp_path / "made" / "inner" / "private").touch(mode=0o600)
    mask = os.umask(0o022)
    try:
        keep_folder(tmp_path / "made", tmp_path / "kept" / "folder")
    finally:
        os.umask(mask)
    assert not (tmp_path / "made").exists()
    assert (tmp_path / "kept" / "folder" / "inner" / "private").stat().st_mode & 0o777 == 0o644
