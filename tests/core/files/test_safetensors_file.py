"""Truncated, corrupt and foreign files are recognised by their header."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.ones(5, dtype=torch.float16)}, path, metadata={"x": "y"})
    return path


def refused(path: Path) -> str:
    with pytest.raises(UvlpError) as caught:
        safetensors_file.check(path, "fetch it again")
    assert (caught.value.got, caught.value.fix) == (str(path), "fetch it again")
    assert "\n" not in str(caught.value)
    return caught.value.what


def test_complete_file_gives_its_shapes(file: Path) -> None:
    assert safetensors_file.check(file, "") == {"a": (2, 3), "b": (5,)}


def test_file_without_tensors_is_complete(tmp_path: Path) -> None:
    save_file({}, tmp_path / "none.safetensors")
    assert safetensors_file.check(tmp_path / "none.safetensors", "") == {}


@pytest.mark.parametrize("kept", [0, 7, 8, 40, -1])
def test_truncated_file_is_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    what = refused(file)
    assert "truncated" in what if kept not in (0, 7) else "safetensors file" in what


def test_file_with_trailing_bytes_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert "too long" in refused(file)


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>not found</html>", b"version https://git-lfs.github.com"]
)
def test_beginning_of_a_text_file_is_shown(file: Path, page: bytes) -> None:
    file.write_bytes(page)
    assert page[:12].decode() in refused(file)


@pytest.mark.parametrize(
    "header",
    [b"{not json", b"[1, 2]", json.dumps({"a": {"dtype": "F32"}}).encode(), b'{"a": 3}', b"[" * 100_000],
)
def test_corrupt_header_is_refused(file: Path, header: bytes) -> None:
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert "corrupt" in refused(file)


def entry(dtype: str = "F32", shape: object = (2,), begin: object = 0, stop: object = 8) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, stop]}


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(stop=4)},
        {"a": entry("F16")},
        {"a": entry(shape=(2**40, 2**40))},
        {"a": entry(shape=(-2, -1))},
        {"a": entry(shape=(True, 2))},
        {"a": entry(shape="2")},
        {"a": entry(begin=8, stop=0)},
        {"a": entry(begin=-8, stop=0)},
        {"a": entry(begin=0.0)},
        {"a": entry(), "b": entry()},
        {"a": entry(), "b": entry(begin=4, stop=12)},
        {"a": entry(), "b": entry(begin=16, stop=24)},
        {"a": entry(begin=8, stop=16)},
        {"a": {**entry(), "data_offsets": [0, 8, 16]}},
    ],
)
def test_inconsistent_tensor_offsets_are_refused(file: Path, header: dict[str, object]) -> None:
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(24))
    assert "corrupt" in refused(file)


def test_every_dtype_of_the_library_is_accepted(tmp_path: Path) -> None:
    types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8]
    types += [torch.int8, torch.int16, torch.int32, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2]
    tensors = {str(each): torch.zeros(3, dtype=each) for each in types} | {"none": torch.zeros(0, 2)}
    save_file(tensors, tmp_path / "all.safetensors")
    shapes = safetensors_file.check(tmp_path / "all.safetensors", "")
    assert shapes == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
