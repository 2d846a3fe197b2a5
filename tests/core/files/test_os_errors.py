"""A full disk is recognised whatever library reports it; system errors become one clear line."""

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
from uvlp.core.files.os_errors import as_uvlp_error, explain_os_errors, is_full

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
    # Pillow does not report a JPEG that is truncated by a full disk; UVLP writes none.
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


def test_full_disk_is_recognised_from_every_library(no_room: None, tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        with pytest.raises(UvlpError) as caught, explain_os_errors(tmp_path, "cannot write", "make room"):
            write(tmp_path / "file")
        assert caught.value.what.startswith("cannot write: "), name
        assert (caught.value.got, caught.value.fix) == (str(tmp_path), "make room"), name


def test_full_disk_is_found_among_the_causes() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise KeyError("state")  # noqa: B904 - as libraries do
    except KeyError as error:
        assert is_full(error)
        converted = as_uvlp_error(error)
    assert converted is not None
    assert converted.what.endswith("No space left on device")


@pytest.mark.parametrize(
    ("error", "what", "got"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "Permission denied", "/a"),
        (OSError(errno.ELOOP, "Too many levels", "/a"), "Too many levels", "/a"),
        (RuntimeError("write(): fd 3 failed with No space left on device"), "No space left on device", None),
        (OSError("Error: Disk quota exceeded"), "No space left on device", None),
    ],
)
def test_system_error_becomes_one_clear_line(error: Exception, what: str, got: str | None) -> None:
    converted = as_uvlp_error(error)
    assert converted is not None and converted.fix
    assert (converted.what, converted.got) == (f"a file or folder cannot be used: {what}", got)


@pytest.mark.parametrize("error", [KeyError("x"), ConnectionResetError(104, "reset"), OSError("in words")])
def test_other_errors_are_not_converted(error: Exception, tmp_path: Path) -> None:
    assert as_uvlp_error(error) is None
    with pytest.raises(type(error)), explain_os_errors(tmp_path, "cannot write", "make room"):
        raise error


def test_full_memory_is_a_user_error() -> None:
    converted = as_uvlp_error(MemoryError())
    assert converted is not None
    assert converted.what == "out of memory"
