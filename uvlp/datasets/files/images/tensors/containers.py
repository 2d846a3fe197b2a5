"""Read the arrays of a `.pt`, `.npz` or `.safetensors` file; no code from a file is run."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_regular, check_size, refuse_wrong_content
from uvlp.core.files.torchscript import TITLE, is_torchscript
from uvlp.core.hashing import read_hashed
from uvlp.core.wording import byte_size, kind_of

SUFFIXES = (".pt", ".pth", ".npz", ".safetensors")
LARGEST_BYTES = 8 * 10**9
"""Largest file, and the most that a compressed one may expand to."""
WHAT = "file with images"


def read(path: Path, sha256: str) -> Any:
    """Return what a file contains: arrays by name, or what `torch.save` was given, with arrays for tensors.

    Args:
        path: the file.
        sha256: its hash; other bytes are refused.

    Raises:
        UvlpError: it is too large, damaged, something else, contains more than tensors, or has changed.
        OSError: it cannot be read.
    """
    check_size(path, WHAT, check_regular(path, WHAT), LARGEST_BYTES)
    refuse_wrong_content(path, WHAT, text=False)
    content = read_hashed(path, sha256)
    _check_expansion(content, path)
    if path.suffix == ".npz":
        return _npz(content, path)
    return _safetensors(content, path) if path.suffix == ".safetensors" else _torch(content, path)


def _check_expansion(content: bytes, path: Path) -> None:
    """Refuse a compressed file that would fill the memory, before it is expanded."""
    if not content.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _damaged(path, error) from error
    if size > LARGEST_BYTES:
        what = f"the {WHAT} {path} expands too far"
        raise UvlpError(what, got=byte_size(size), allowed=f"at most {byte_size(LARGEST_BYTES)}")


def _npz(content: bytes, path: Path) -> Mapping[str, Any]:
    import numpy

    try:
        with numpy.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # arbitrary bytes make the reader raise exceptions of many types
        if "allow_pickle" in str(error) or "pickle" in str(error).lower():
            raise _more_than_tensors(path, "Python objects") from error
        raise _damaged(path, error) from error


def _safetensors(content: bytes, path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return {name: _array(tensor) for name, tensor in load(content).items()}
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _torch(content: bytes, path: Path) -> Any:
    import torch

    if is_torchscript(path):
        raise _more_than_tensors(path, TITLE)
    try:
        with warnings.catch_warnings(action="ignore"):  # about old pickle protocols
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise _damaged(path, error) from error
        raise _more_than_tensors(path, refused[1]) from error
    except Exception as error:  # arbitrary bytes make the reader raise exceptions of many types
        raise _damaged(path, error) from error
    return _arrays(found)


def _arrays(value: Any) -> Any:
    """Return a value of `torch.load` with numpy arrays in place of tensors, at any depth."""
    if isinstance(value, Mapping):
        return {name: _arrays(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_arrays(item) for item in value]
    return _array(value) if hasattr(value, "detach") else value


def _array(tensor: Any) -> Any:
    """Return a tensor as an array; bfloat16, which numpy does not have, as float32 with the same values."""
    import torch

    if tensor.is_sparse or tensor.is_quantized:
        raise UvlpError("a sparse or quantised tensor", got=kind_of(tensor), allowed="a dense tensor")
    dense = tensor.detach()
    return (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()


def _more_than_tensors(path: Path, found: str) -> UvlpError:
    return UvlpError(
        f"the {WHAT} {path} contains more than tensors, and loading the rest could run any code",
        got=found,
        allowed="tensors in dictionaries and lists",
        fix="if you trust its source, load it once and save its images and labels as .safetensors",
    )


def _damaged(path: Path, error: Exception) -> UvlpError:
    got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return UvlpError(f"the {WHAT} {path} is damaged", got=got, fix="copy or save it again")
