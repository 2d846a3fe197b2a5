"""Extended headers of tar files may neither fill the memory nor be endless."""

from __future__ import annotations

import gzip
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from tests.datasets.files.test_archive import refusal, tar_of, tar_of_files
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets.files.unpack import is_archive, unpack


def headers(kind: bytes, size: int, count: int = 1) -> bytes:
    """A compressed tar file with extended headers of this size before a regular file."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = kind, size
    content = b"30 comment=" + b"a" * 18 + b"\n" if size == 30 else bytes(size)
    one = info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-size % 512)
    return gzip.compress(one * count + gzip.decompress(tar_of_files()), 1)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_header_is_not_read(kind: bytes, tmp_path: Path) -> None:
    content = headers(kind, 200_000_000)
    assert len(content) < 1_000_000
    tracemalloc.start()
    error = refusal(content, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.got, error.allowed) == ("200.0 MB", "at most 1.0 MB")
    assert is_archive(tmp_path / "set.tgz") and peak < 20_000_000


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_endless_headers_are_refused(kind: bytes, tmp_path: Path) -> None:
    assert refusal(headers(kind, 30, 20_000), tmp_path).got == "more than 100 in a row"
    assert is_archive(tmp_path / "set.tgz")


def test_headers_count_towards_the_limit(tmp_path: Path) -> None:
    named = tarfile.TarInfo("set/" + "a" * 90 + "/" + "b" * 200)
    (tmp_path / "set.tgz").write_bytes(tar_of(*[(named, b"")] * 30))
    with pytest.raises(UvlpError) as caught:
        unpack(tmp_path / "set.tgz", tmp_path, "set", Progress(), at_most=35 * 512)
    assert caught.value.allowed == "at most 17.9 kB"


@pytest.mark.parametrize("form", ["old", "0.0", "0.1", "1.0"])
def test_sparse_files_are_refused(form: str, tmp_path: Path) -> None:
    """The list of holes in them may have any length."""
    member = tarfile.TarInfo("set/hole")
    if form == "old":
        member.type = tarfile.GNUTYPE_SPARSE
    elif form == "0.0":
        member.pax_headers = {"GNU.sparse.size": "9", "GNU.sparse.numblocks": "0"}
    elif form == "0.1":
        member.pax_headers = {"GNU.sparse.map": "0,1"}
    else:
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    assert "a sparse file" in refusal(tar_of((member, b"1\n0\n1\n" + bytes(600))), tmp_path).what


def test_headers_of_normal_length_are_read(tmp_path: Path) -> None:
    name = "set/" + "/".join("d" * 60 for _ in range(8))
    member = tarfile.TarInfo(name)
    member.pax_headers = {"LIBARCHIVE.xattr.com.apple.quarantine": "x" * 50_000}
    (tmp_path / "set.tgz").write_bytes(tar_of((member, b"one")))
    unpack(tmp_path / "set.tgz", tmp_path, "set", Progress())
    assert (tmp_path / name).read_bytes() == b"one"
