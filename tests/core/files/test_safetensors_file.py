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


def _fails(path: Path) -> str:
    with pytest.raises(UvlpError) as caught:
        safetensors_file.check(path, "fetch it again")
    text = str(caught.value)
    assert "\n" not in text and str(path) in text and text.endswith("fetch it again")
    return text


def test_a_whole_file_tells_its_shapes(file: Path) -> None:
    assert safetensors_file.check(file, "") == {"a": (2, 3), "b": (5,)}


def test_an_empty_set_of_tensors_is_whole(tmp_path: Path) -> None:
    save_file({}, tmp_path / "none.safetensors")
    assert safetensors_file.check(tmp_path / "none.safetensors", "") == {}


@pytest.mark.parametrize("kept", [0, 7, 8, 40, -1])
def test_a_truncated_file_is_named(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    text = _fails(file)
    assert "truncated" in text if kept not in (0, 7) else "safetensors file" in text


def test_a_file_with_something_behind_it_is_named(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert "too long" in _fails(file)


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>not found</html>", b"version https://git-lfs.github.com"]
)
def test_text_under_the_name_is_shown(file: Path, page: bytes) -> None:
    file.write_bytes(page)
    assert page[:12].decode() in _fails(file)


@pytest.mark.parametrize(
    "header",
    [b"{not json", b"[1, 2]", json.dumps({"a": {"dtype": "F32"}}).encode(), b'{"a": 3}', b"[" * 100_000],
)
def test_a_garbled_header_is_named(file: Path, header: bytes) -> None:
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert "garbled" in _fails(file)


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
def test_places_that_overlap_or_do_not_fit_are_named(file: Path, header: dict[str, object]) -> None:
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(24))
    assert "garbled" in _fails(file)


def test_every_number_type_of_the_library_is_taken(tmp_path: Path) -> None:
    types = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8]
    types += [torch.int8, torch.int16, torch.int32, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2]
    tensors = {str(each): torch.zeros(3, dtype=each) for each in types} | {"none": torch.zeros(0, 2)}
    save_file(tensors, tmp_path / "all.safetensors")
    found = safetensors_file.check(tmp_path / "all.safetensors", "")
    assert found == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
