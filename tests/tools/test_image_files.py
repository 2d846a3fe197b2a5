"""The comparison of two images, on archives as `docker export` writes them."""

from __future__ import annotations

import io
import subprocess
import tarfile

import pytest

from tools import image_files
from uvlp.core.errors import UvlpError


def archive(content: bytes, mode: int = 0o644, time: int = 0, **more: bytes) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as members:
        for name, data in {"opt/a": content, "etc/hosts": b"engine", **more}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, time
            members.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        members.addfile(link)
    packed.seek(0)
    return packed


def test_every_file_has_its_hash_mode_and_owner() -> None:
    found = image_files.listing(archive(b"a"))
    sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert found == {"opt/a": f"{sha256} 644 0:0", "bin": "-> usr/bin 644 0:0"}


def test_content_mode_and_presence_differ_but_not_time() -> None:
    plain = image_files.listing(archive(b"a"))
    assert image_files.differing(plain, image_files.listing(archive(b"a", time=9))) == []
    assert image_files.differing(plain, image_files.listing(archive(b"b"))) == ["opt/a"]
    assert image_files.differing(plain, image_files.listing(archive(b"a", mode=0o600))) == ["opt/a"]
    assert image_files.differing(plain, image_files.listing(archive(b"a", new=b""))) == ["new"]


def test_image_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "No such image: nowhere\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(UvlpError) as error:
        image_files.files_of("nowhere")
    assert (error.value.what, error.value.got) == ("docker create failed", "No such image: nowhere")
