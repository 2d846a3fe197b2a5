"""Attacks with image files and folders of a dataset, and with one that changes (B1, E, D6, cases 13, 14)."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.attack.ground import (
    EVALUATE,
    FOLDER,
    Attack,
    Expected,
    Outcome,
    Prepare,
    call,
    done,
    refused,
    steps,
)

DRY = (*FOLDER, "--store", "new", "--dry-run")
RUN = (*FOLDER, "--store", "new")


def png(width: int, height: int, rows: bytes | None = None) -> bytes:
    """A grey PNG whose header has this size, independent of its content."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(bytes((width + 1) * height) if rows is None else rows, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def picture(form: str, mode: str = "RGB", size: tuple[int, int] = (32, 32), **options: object) -> bytes:
    """An image file written by Pillow."""
    content = io.BytesIO()
    Image.new(mode, size, 77 if mode in ("L", "P", "I;16", "I", "1", "F") else None).save(
        content, form, **options
    )
    return content.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234\n"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(touch /tmp/pwned) system\nshowpage\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
WHOLE = picture("PNG")


def put(name: str, content: bytes) -> Prepare:
    """Write a file into the dataset."""

    def prepare(root: Path) -> None:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return prepare


WRONG: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "nothing": ("x.png", b"", ("empty",)),
    "one byte": ("x.png", b"\x89", ()),
    "a page": ("x.jpg", b"<!DOCTYPE html><html><body>Log in</body></html>", ("HTML",)),
    "a Git LFS pointer": ("x.png", POINTER, ("git lfs pull",)),
    "a program for a printer": ("x.png", EPS, ()),
    "a drawing with a script": ("x.png", SVG, ()),
    "a cut PNG": ("x.png", WHOLE[: len(WHOLE) // 2], ()),
    "a PNG with a wrong checksum": ("x.png", WHOLE[:40] + bytes([WHOLE[40] ^ 1]) + WHOLE[41:], ()),
    "a PNG of a header alone": ("x.png", WHOLE[:33], ()),
    "a PNG of no width": ("x.png", png(0, 5, b""), ()),
    "a bomb": ("x.png", png(30_000, 30_000, bytes(8)), ("pixels",)),
    "a bomb that is whole": ("x.png", png(20_000, 12_000), ("pixels",)),
    "a size beyond all": ("x.png", png(2**31 - 1, 2**31 - 1, b""), ()),
    "a cut JPEG": ("x.jpg", picture("JPEG")[:200], ()),
    "random numbers": ("x.bmp", np.random.default_rng(0).bytes(5000), ()),
    "an archive": ("x.png", b"PK\x03\x04" + bytes(100), ()),
    "a PDF": ("x.png", b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", ()),
    "an icon": ("x.png", picture("ICO"), ()),
    "floats": ("x.tif", picture("TIFF", "F"), ()),
    "whole numbers of 32 bits": ("x.tif", picture("TIFF", "I"), ()),
    "a TIFF that points at itself": ("x.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", ()),
    "a JPEG 2000 in a JPEG's name": ("x.jpg", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), ()),
}
FINE: dict[str, tuple[str, bytes]] = {
    "transparency": ("x.png", picture("PNG", "RGBA")),
    "a palette": ("x.png", picture("PNG", "P")),
    "one bit": ("x.png", picture("PNG", "1")),
    "16 bits of grey": ("x.png", picture("PNG", "I;16")),
    "a JPEG in a PNG's name": ("x.png", picture("JPEG")),
    "ink": ("x.jpg", picture("JPEG", "CMYK")),
    "one pixel": ("x.png", picture("PNG", size=(1, 1))),
    "a line": ("x.png", picture("PNG", size=(3000, 1))),
    "capitals in the ending": ("x.PNG", WHOLE),
    "blanks in the name": ("  a  b .png", WHOLE),
    "a comma and quotes in the name": ("a,\"b'.png", WHOLE),
    "markup in the name": ("<script>**_$x$.png", WHOLE),
    "a long name": ("n" * 250 + ".png", WHOLE),
    "another script in the name": ("猫é🐈.png", WHOLE),
    "a name that begins with a line": ("-rf.png", WHOLE),
}


def _scored(name: str, content: bytes) -> Prepare:
    def prepare(root: Path) -> None:
        for digit in range(10):
            (root / "out" / str(digit) / name).write_bytes(content)

    return prepare


def single() -> list[Attack]:
    """One file among the training images, and in a folder to evaluate."""
    found = [
        Attack(
            kind="E3" if "program" in what or "bomb" in what else "D6",
            name=f"a training image is {what}",
            call=RUN,
            prepare=put(f"train/cat/{name}", content),
            expected=refused(name, *words),
            needs=("images",),
        )
        for what, (name, content, words) in WRONG.items()
    ]
    found += [
        Attack(
            kind="D6",
            name=f"an image that is scored is {what}",
            call=(*EVALUATE, "--no-random", "--store", "new"),
            prepare=_scored(name, content),
            expected=refused(name),
            needs=("out",),
        )
        for what, (name, content, _) in WRONG.items()
        if what
        in ("nothing", "a page", "a bomb", "a cut PNG", "a Git LFS pointer", "a program for a printer")
    ]
    return found + [
        Attack(
            kind="D6",
            name=f"a training image has {what}",
            call=DRY,
            prepare=put(f"train/cat/{name}", content),
            expected=done(),
            needs=("images",),
        )
        for what, (name, content) in FINE.items()
    ]


def _in(where: str, make: Callable[[Path], object]) -> Prepare:
    def prepare(root: Path) -> None:
        path = root / "images" / where
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)

    return prepare


def _alone(root: Path) -> None:
    for split in ("train", "val"):
        for name in ("dog", "emu"):
            shutil.rmtree(root / "images" / split / name)


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def things() -> dict[str, tuple[Prepare, Expected]]:
    """Not a file where one is expected, or more than one."""
    image = "train/cat/x.png"

    def links(target: str) -> Prepare:
        return _in(image, lambda path: path.symlink_to(target))

    return {
        "an image is a pipe": (_in(image, os.mkfifo), refused("x.png")),
        "an image is a folder": (_in(image, Path.mkdir), done()),
        "an image is a link to itself": (_in(image, _link_to_itself), refused("x.png")),
        "an image is a dangling link": (links("nowhere.png"), refused("x.png")),
        "an image is a link to a device": (links("/dev/zero"), refused("x.png")),
        "an image is a link to another image": (links("0.png"), done()),
    }


def classes() -> dict[str, tuple[Prepare, Expected]]:
    """Folders that are not classes."""

    def one_image(path: Path) -> None:
        path.write_bytes(WHOLE)

    return {
        "a class is a file": (_in("train/fox", Path.touch), refused("fox")),
        "a class is a pipe": (_in("train/fox", os.mkfifo), refused("fox")),
        "a class is a link to itself": (_in("train/fox", _link_to_itself), refused("fox")),
        "a class holds itself": (_in("train/cat/again", lambda path: path.symlink_to("..")), refused("link")),
        "a class is empty": (_in("train/fox", Path.mkdir), refused("fox")),
        "a class is only in val": (_in("val/fox/0.png", one_image), refused("fox")),
        "a class of one file": (_in("train/fox/0.png", one_image), refused("fox")),
        "the folder train is a file": (_in("train", steps(shutil.rmtree, Path.touch)), refused("train")),
        "the folder train is a pipe": (_in("train", steps(shutil.rmtree, os.mkfifo)), refused("train")),
        "no validation images": (lambda root: shutil.rmtree(root / "images/val"), refused("val")),
        "one class alone": (_alone, refused("classes")),
    }


def class_names() -> dict[str, tuple[Prepare, Expected]]:
    """Lists of class names."""

    def listed(text: str) -> Prepare:
        return _in("classes.tsv", lambda path: path.write_bytes(text.encode("utf-8", "surrogateescape")))

    return {
        "class names are no text": (listed("cat\t\udcff\udcfe\n"), refused("classes.tsv")),
        "class names of two columns too few": (listed("cat\n"), refused("classes.tsv")),
        "class names twice": (listed("cat\ta\ncat\tb\ndog\tc\nemu\td\n"), refused("cat")),
        "two classes of one name": (listed("cat\tpet\ndog\tpet\nemu\tbird\n"), done("pet")),
        "class names with another line separator": (listed("cat\ta\u2028b\ndog\tc\nemu\td\n"), done()),
        "class names in a pipe": (_in("classes.tsv", os.mkfifo), refused("classes.tsv")),
        "class names in a folder": (_in("classes.tsv", Path.mkdir), refused("classes.tsv")),
    }


def kinds() -> list[Attack]:
    """Unexpected kinds of files in a dataset."""
    return [
        Attack(
            kind="E1" if "pipe" in name or "device" in name else "D2",
            name=name,
            call=DRY,
            prepare=prepare,
            expected=expected,
            needs=("images",),
        )
        for name, (prepare, expected) in {**things(), **classes(), **class_names()}.items()
    ]


def left_behind() -> list[Attack]:
    """Files that operating systems create in folders do not change the dataset."""
    names = [
        "train/@eaDir/cat/x.png",
        "train/cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg",
        "train/__MACOSX/cat/._0.png",
        "train/cat/._0.png",
        "train/cat/.DS_Store",
        "train/cat/Thumbs.db",
        "train/cat/desktop.ini",
        "train/.ipynb_checkpoints/0.png",
        "train/cat/.ipynb_checkpoints/0-checkpoint.png",
        "train/lost+found/0.png",
        "train/.git/x.png",
        "train/cat/.thumbnails/0.png",
        "train/$RECYCLE.BIN/0.png",
        "train/System Volume Information/0.png",
        "train/cat/.nfs000000000001",
        "train/.Trash-1000/files/0.png",
    ]
    return [
        Attack(
            kind="case 14",
            name=f"{name} is left behind",
            call=DRY,
            prepare=_beside_clean(put(name, WHOLE)),
            expected=done(),
            needs=("images",),
            run=_same_dataset,
        )
        for name in names
    ]


def _beside_clean(prepare: Prepare) -> Prepare:
    def both(root: Path) -> None:
        shutil.copytree(root / "images", root / "clean")
        prepare(root)

    return both


def _same_dataset(attack: Attack, root: Path) -> Outcome:
    """The call, and exit code 3 if these files change the keys of the tasks."""

    def keys(outcome: Outcome) -> list[str]:
        return [line for line in outcome.out.splitlines() if line.startswith(("make ", "have "))]

    outcome = call(attack, root)
    (root / "images").rename(root / "aside")
    (root / "clean").rename(root / "images")
    clean = call(attack, root)
    (root / "images").rename(root / "clean")
    (root / "aside").rename(root / "images")
    if outcome.code == 0 and keys(outcome) != keys(clean):
        return Outcome(3, outcome.out, "the dataset is another one")
    return outcome


ATTACKS = [*single(), *kinds(), *left_behind()]
