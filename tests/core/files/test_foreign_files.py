"""Foreign files on the command line: pointers and web pages instead of content, and special files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvlp.cli import app
from uvlp.core.errors import UvlpError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
# EXIF with a valid orientation and a rational that Pillow reads but cannot write back
NEGATIVE = (
    b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    b"\x1a\x01\x0a\0\x01\0\0\0\x26\0\0\0\0\0\0\0\xff\xff\xff\xff\x03\0\0\0"
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two classes of three training and two validation images."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "images"


def refused(*arguments: object) -> UvlpError:
    """Return the error with which the command line refuses the arguments."""
    with pytest.raises(UvlpError) as caught:
        app.app(list(map(str, arguments)), standalone_mode=False)
    return caught.value


def refused_dataset(images: Path, *arguments: object) -> UvlpError:
    chain = ("reproduce", f"folder:{images}", "2", "--profile", "nano", "--method", "random", "--dry-run")
    return refused(*chain, "--store", images.parent / "store", *arguments)


def test_git_lfs_pointer_instead_of_an_image(images: Path) -> None:
    (images / "train" / "dog" / "1.png").write_bytes(POINTER)
    error = refused_dataset(images)
    assert "train/dog/1.png" in error.what
    assert "Git LFS pointer" in str(error.got)
    assert "git lfs pull" in str(error.fix)


def test_git_lfs_pointer_among_scored_images_is_refused_before_work_starts(tmp_path: Path) -> None:
    for digit in range(10):
        (tmp_path / "made" / str(digit)).mkdir(parents=True)
        (tmp_path / "made" / str(digit) / "0.png").write_bytes(POINTER)
    error = refused(
        "evaluate", tmp_path / "made", "--dataset", "digits", "--dry-run", "--store", tmp_path / "s"
    )
    assert "0/0.png" in error.what
    assert "Git LFS pointer" in str(error.got)
    assert "git lfs pull" in str(error.fix)


def test_libraries_print_no_warnings_about_metadata(images: Path) -> None:
    """In a separate process, because the test runner captures warnings."""
    pixels = Image.open(images / "train" / "cat" / "0.png").convert("RGB")
    pixels.save(images / "train" / "cat" / "3.jpg", exif=NEGATIVE)
    pixels.save(images / "train" / "cat" / "4.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01\x02\0")
    (images / "val" / "cat" / "9.tif").write_bytes(b"II*\0\x08\0\0\0\x01\0garbage")
    arguments = ("reproduce", f"folder:{images}", "2", "--profile", "nano", "--method", "random", "--dry-run")
    call = [sys.executable, "-m", "uvlp", *arguments, "--store", str(images.parent / "store")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "9.tif" in done.stderr
    (images / "val" / "cat" / "9.tif").unlink()
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notes = done.stderr.splitlines()
    assert len(notes) == 1, done.stderr
    assert "orientation cannot be read" in notes[0]
    assert "train/cat/4.jpg" in notes[0]
    assert "3.jpg" not in notes[0]


def captions(images: Path) -> Path:
    return images / "train" / "metadata.jsonl"


PAGE = b"<!DOCTYPE html>\n<html><body>log in</body></html>\n"


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [(POINTER, "Git LFS pointer", "git lfs pull"), (PAGE, "HTML page", "download it again")],
)
def test_pointer_or_page_instead_of_captions(content: bytes, what: str, fix: str, images: Path) -> None:
    captions(images).write_bytes(content)
    error = refused_dataset(images)
    assert what in error.what
    assert str(captions(images)) == error.got
    assert fix in str(error.fix)
    captions(images).unlink()
    (images.parent / "a.jsonl").write_bytes(content)
    spec = ("--dataset", f"folder:{images}", "--store", images.parent / "store")
    for command in (("import", images.parent / "a.jsonl"), ("check", images.parent / "a.jsonl")):
        assert what in refused("captions", *command, *spec).what


def test_git_lfs_pointer_instead_of_class_names(images: Path) -> None:
    (images / "classes.tsv").write_bytes(POINTER)
    error = refused_dataset(images)
    assert "classes.tsv" in f"{error.what} {error.got}"
    assert "git lfs pull" in str(error.fix)


@pytest.mark.parametrize("name", ["train/metadata.jsonl", "train/cat/metadata.jsonl", "classes.tsv"])
def test_named_pipe_in_a_dataset_is_not_opened(name: str, images: Path) -> None:
    os.mkfifo(images / name)
    error = refused_dataset(images)
    assert Path(name).name in f"{error.what} {error.got}"


@pytest.mark.parametrize("form", ["import", "check", "questions"])
def test_captions_from_a_pipe_or_device_are_refused(form: str, images: Path) -> None:
    pipe, zeros = images.parent / "pipe", images.parent / "zeros"
    os.mkfifo(pipe)
    zeros.symlink_to("/dev/zero")
    (images.parent / "a.jsonl").write_text('{"question_id": 1, "text": "a", "answer_id": "b"}\n')
    spec = ("--dataset", f"folder:{images}", "--store", images.parent / "store")
    for path, got in ((pipe, "a named pipe"), (zeros, "a device")):
        arguments = {
            "import": ("import", path),
            "check": ("check", path),
            "questions": ("import", images.parent / "a.jsonl", "--questions", path),
        }
        assert refused("captions", *arguments[form], *spec).got == got


def test_too_long_line_is_refused(images: Path) -> None:
    with captions(images).open("wb") as file:
        file.write(b'{"file_name": "cat/0.png", "text": "a"}\n{"file_name": "cat/1.png", "text": "')
        file.truncate(5 * 10**6)
    error = refused_dataset(images)
    assert "line 2 is too long" in error.what
    assert error.got == "more than 1.0 MB"


@pytest.mark.parametrize("name", ["train/cat/0.png", "train/metadata.jsonl"])
def test_file_of_many_gigabytes_is_refused(name: str, images: Path) -> None:
    with (images / name).open("ab") as file:
        file.truncate(10**12)  # sparse: takes no disk space
    error = refused_dataset(images)
    assert name in error.what
    assert (error.got, error.allowed) == ("1000.0 GB", "at most 1.0 GB")


def test_large_caption_file_of_short_lines_is_accepted(images: Path) -> None:
    rows = [
        json.dumps({"file_name": f"{name}/{number}.png", "text": "word " * 100_000})
        for name in ("cat", "dog")
        for number in range(3)
    ]
    captions(images).write_text("\n".join(rows))
    arguments = ("reproduce", f"folder:{images}", "2", "--profile", "nano", "--method", "random", "--dry-run")
    app.app([*arguments, "--store", str(images.parent / "store")], standalone_mode=False)


@pytest.mark.parametrize(
    ("make", "what", "got"),
    [
        (os.mkfifo, "the teacher checkpoint", "a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "the teacher checkpoint", "a device"),
        (lambda path: path.write_bytes(POINTER), "this is a Git LFS pointer", "teacher.pth"),
        (lambda path: path.write_bytes(PAGE), "this is an HTML page", "teacher.pth"),
    ],
)
def test_invalid_checkpoint_is_refused(
    make: Callable[[Path], object], what: str, got: str, tmp_path: Path
) -> None:
    make(tmp_path / "teacher.pth")
    arguments = ("teacher", "digits", "conv3", "--checkpoint", tmp_path / "teacher.pth", "--profile", "nano")
    error = refused(*arguments, "--store", tmp_path / "store", "--dry-run")
    assert error.what.startswith(what)
    assert str(error.got).endswith(got)
