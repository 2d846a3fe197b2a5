"""A full disk is recognised whatever library met it; refusals of the system become one clear line."""

import errno
import resource
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from uvlp.artifacts import pixels
from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import explain_os_errors, explained, is_full

NOISE = numpy.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=numpy.uint8)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("noise", NOISE.tobytes())


def write_pixels(folder: Path) -> None:
    folder.unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    pixels.write(folder, [NOISE], [0], len(NOISE), "noise")


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(NOISE.tobytes()),
    "numpy": lambda path: numpy.save(path, NOISE),
    "numpy, zipped": lambda path: numpy.savez(path, NOISE),
    "safetensors": lambda path: save_file({"noise": NOISE}, path),
    "torch": lambda path: torch.save(torch.from_numpy(NOISE), path),
    # Pillow says nothing of a JPEG that was cut off by a full disk; we write none.
    "PNG": lambda path: Image.fromarray(NOISE).save(path, "PNG"),
    "zip": write_zip,
    "pixels": write_pixels,
}


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may grow beyond 4 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_every_library_that_writes_is_understood(no_room: None, tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        with pytest.raises(UvlpError) as caught, explain_os_errors(tmp_path, "cannot write", "make room"):
            write(tmp_path / "file")
        assert caught.value.what.startswith("cannot write: "), name
        assert (caught.value.got, caught.value.fix) == (str(tmp_path), "make room"), name


def test_a_full_disk_behind_another_error_is_found() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise KeyError("state")  # noqa: B904 - as libraries do
    except KeyError as error:
        assert is_full(error)
        found = explained(error)
    assert found is not None
    assert found.what.endswith("No space left on device")


@pytest.mark.parametrize(
    ("error", "what", "got"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "Permission denied", "/a"),
        (OSError(errno.ELOOP, "Too many levels", "/a"), "Too many levels", "/a"),
        (RuntimeError("write(): fd 3 failed with No space left on device"), "No space left on device", None),
        (OSError("Error: Disk quota exceeded"), "No space left on device", None),
    ],
)
def test_a_refusal_that_nobody_explained(error: Exception, what: str, got: str | None) -> None:
    found = explained(error)
    assert found is not None and found.fix
    assert (found.what, found.got) == (f"a file or folder cannot be used: {what}", got)


@pytest.mark.parametrize("error", [KeyError("x"), ConnectionResetError(104, "reset"), OSError("in words")])
def test_a_defect_stays_a_defect(error: Exception, tmp_path: Path) -> None:
    assert explained(error) is None
    with pytest.raises(type(error)), explain_os_errors(tmp_path, "cannot write", "make room"):
        raise error


def test_a_full_memory_is_the_machines_affair() -> None:
    found = explained(MemoryError())
    assert found is not None
    assert found.what == "the machine's memory is full"
