"""Archives of image folders are unpacked once; links, escapes and too much data are refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from uvlp.core.errors import UvlpError
from uvlp.pipeline.folders import archives
from uvlp.pipeline.folders.archives import unpacked

FILES = {"made/cat/1.png": b"cat", "made/dog/1.png": b"dog"}


def tar(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in more:
            archive.addfile(member)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refusal(path: Path, cache: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        unpacked({"given": path}, cache)
    folder = cache / archives.FOLDER
    assert not any(folder.iterdir()), "nothing is left"
    return caught.value


def test_archives_are_the_folders_in_them(tmp_path: Path) -> None:
    inner = {name.removeprefix("made/"): content for name, content in FILES.items()}
    paths = {
        "a": tar(tmp_path / "a.tar.gz", FILES),
        "b": zipped(tmp_path / "b.ZIP", inner),
        "c": tmp_path,
    }
    found = unpacked(paths, tmp_path / "cache")
    assert found.keys() == {"a", "b"}
    for folder in found.values():
        names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}
        assert names == inner
    before = (found["a"] / "cat").stat().st_mtime_ns
    assert unpacked(paths, tmp_path / "cache") == found
    assert (found["a"] / "cat").stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_refused(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("made/cat/2.png")
    link.type, link.linkname = kind, "1.png" if kind == tarfile.SYMTYPE else "made/cat/1.png"
    error = refusal(tar(tmp_path / "a.tgz", FILES, link), tmp_path / "cache")
    assert error.got == "made/cat/2.png" and "a link" in error.what


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "cat/../../out.png"])
def test_a_path_that_leaves_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    for path in (tar(tmp_path / "a.tar.gz", {name: b""}), zipped(tmp_path / "a.zip", {name: b""})):
        assert refusal(path, tmp_path / "cache").got == name


def test_too_much_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_BYTES", 10_000)
    for path in (
        tar(tmp_path / "a.tar.gz", {"cat/1.png": bytes(20_000)}),
        zipped(tmp_path / "a.zip", {"cat/1.png": bytes(20_000)}),
    ):
        assert refusal(path, tmp_path / "cache").allowed == "at most 10.0 kB"


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"cat/1.png": bytes(20_000)})
    path.write_bytes(path.read_bytes()[:-20])
    assert "is damaged" in refusal(path, tmp_path / "cache").what
