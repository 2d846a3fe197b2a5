"""Attacks with archives in the folder that a dataset is downloaded to, offline (C, D6)."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.attack.ground import Attack, Prepare, refused

ARCHIVES = {
    "cifar10": "cifar-10-binary.tar.gz",
    "cifar100": "cifar-100-binary.tar.gz",
    "imagenette": "imagenette2.tgz",
    "tiny-imagenet": "tiny-imagenet-200.zip",
}
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def _link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""


def _zip(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


CONTENTS: Mapping[str, bytes] = {
    "nothing": b"",
    "a page": b"<!DOCTYPE html><html>Log in</html>",
    "a beginning": _tar((tarfile.TarInfo("cifar-10-batches-bin/a"), os.urandom(5000)))[:2000],
    "another tar": _tar((tarfile.TarInfo("other/a"), b"x")),
    "a tar that climbs out": _tar((tarfile.TarInfo("../../mine/thesis.txt"), b"gone")),
    "a tar of links": _tar(_link("a", "b"), _link("b", "a"), _link("c", "/etc")),
    "another zip": _zip(a="x"),
    "zeros": gzip.compress(bytes(20_000_000)),
}


def _lay(name: str, content: bytes) -> Prepare:
    def prepare(root: Path) -> None:
        (root / "mine" / "data").mkdir()
        (root / "mine" / "data" / name).write_bytes(content)

    return prepare


def _lay_pipe(root: Path) -> None:
    (root / "mine" / "data").mkdir()
    os.mkfifo(root / "mine" / "data" / ARCHIVES["cifar10"])


ATTACKS = [
    Attack(
        kind="D6",
        name=f"the archive of {dataset} is {what}",
        call=("fetch", dataset, "--data", "mine/data", "--store", "new"),
        prepare=_lay(file, content),
        environment=NOWHERE,
        expected=refused(),
        needs=(),
    )
    for dataset, file in ARCHIVES.items()
    for what, content in CONTENTS.items()
    if dataset in ("cifar10", "tiny-imagenet") or what in ("nothing", "a page")
] + [
    Attack(
        kind="E1",
        name="the archive of cifar10 is a pipe",
        call=("fetch", "cifar10", "--data", "mine/data", "--store", "new"),
        prepare=_lay_pipe,
        environment=NOWHERE,
        expected=refused(),
        needs=(),
    )
]
