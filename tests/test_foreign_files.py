"""Files of others through the command line: pointers and pages in their place, what is no file at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvlp import cli
from uvlp.core.errors import UvlpError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
# EXIF whose orientation is whole, and a rational that Pillow reads but cannot write back
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


def refused(*words: object) -> UvlpError:
    """What the command line refuses a request with."""
    with pytest.raises(UvlpError) as caught:
        cli.app(list(map(str, words)), standalone_mode=False)
    return caught.value


def refused_dataset(images: Path, *words: object) -> UvlpError:
    chain = ("reproduce", f"folder:{images}", "2", "--profile", "nano", "--method", "random", "--dry-run")
    return refused(*chain, "--store", images.parent / "store", *words)


def test_a_git_lfs_pointer_in_place_of_an_image(images: Path) -> None:
    (images / "train" / "dog" / "1.png").write_bytes(POINTER)
    error = refused_dataset(images)
    assert "train/dog/1.png" in error.what
    assert "Git LFS pointer" in str(error.got)
    assert "git lfs pull" in str(error.do)


def test_a_git_lfs_pointer_among_images_to_score_is_told_before_anything_is_made(tmp_path: Path) -> None:
    for digit in range(10):
        (tmp_path / "made" / str(digit)).mkdir(parents=True)
        (tmp_path / "made" / str(digit) / "0.png").write_bytes(POINTER)
    error = refused(
        "evaluate", tmp_path / "made", "--dataset", "digits", "--dry-run", "--store", tmp_path / "s"
    )
    assert "0/0.png" in error.what
    assert "Git LFS pointer" in str(error.got)
    assert "git lfs pull" in str(error.do)


def test_no_library_warns_by_itself_of_metadata_that_it_cannot_parse(images: Path) -> None:
    """In a process of its own, because the test runner takes warnings away."""
    pixels = Image.open(images / "train" / "cat" / "0.png").convert("RGB")
    pixels.save(images / "train" / "cat" / "3.jpg", exif=NEGATIVE)
    pixels.save(images / "train" / "cat" / "4.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01\x02\0")
    (images / "val" / "cat" / "9.tif").write_bytes(b"II*\0\x08\0\0\0\x01\0garbage")
    words = ("reproduce", f"folder:{images}", "2", "--profile", "nano", "--method", "random", "--dry-run")
    call = [sys.executable, "-m", "uvlp", *words, "--store", str(images.parent / "store")]
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
