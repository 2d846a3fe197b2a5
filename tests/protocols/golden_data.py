"""Golden data of the evaluation protocols: reader, and the input generators that its README defines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy
import pytest

GOLDEN = Path(os.environ.get("UVLP_GOLDEN", Path(__file__).parent.parent / "golden")) / "evaluation"


def read(name: str) -> Any:
    """Read a JSON file, which must not be empty."""
    content = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    assert content, f"{name} contains no case"
    return content


def arrays(name: str) -> dict[str, numpy.ndarray]:
    """Read the arrays of an npz file, which must not be empty."""
    with numpy.load(GOLDEN / name, allow_pickle=False) as file:
        contents = dict(file)
    assert contents, f"{name} contains no array"
    return contents


def family(name: str, key: str) -> list[dict[str, Any]]:
    """Return the cases ``key`` of a JSON file, one or several; none if the file lacks the family."""
    cases: list[dict[str, Any]] | dict[str, Any] = read(name).get(key, [])
    return cases if isinstance(cases, list) else [cases]


def over_rows(rows: Iterable[Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Turn a check of one golden row into a test of all ``rows``; a failure names its row."""
    rows = list(rows)

    def decorate(check: Callable[[Any], None]) -> Callable[[], None]:
        def test() -> None:
            if not rows:
                # Another folder of golden data may hold some families only; ours holds them all.
                assert "UVLP_GOLDEN" in os.environ, "the golden data have no such rows"
                pytest.skip("the golden data have no such rows")
            for number, row in enumerate(rows):
                try:
                    check(row)
                except AssertionError as error:
                    error.add_note(f"golden row {number}: {str(row)[:300]}")
                    raise

        test.__doc__ = check.__doc__
        return test

    return decorate


def hashed(shape: tuple[int, ...], key: int) -> numpy.ndarray:
    """Return the README's ``hash_u(i, key)`` of every flat index, float64 in [-1,1), in ``shape``."""
    x = numpy.arange(1, int(numpy.prod(shape)) + 1, dtype=numpy.uint32)  # wraps at 2^32, as specified
    x *= numpy.uint32(2654435761)
    x += numpy.uint32((key + 1) * 2246822519 % 2**32)
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        x ^= x >> numpy.uint32(shift)
        x *= numpy.uint32(factor)
    x ^= x >> numpy.uint32(16)
    return (x / 2147483648 - 1).reshape(shape)


def network_input(shape: tuple[int, ...], key: int) -> numpy.ndarray:
    """Return the README's ``input(N,C,H,W,k)``."""
    n, c, h, w = numpy.ogrid[tuple(slice(size) for size in shape)]
    wave = 0.37 * (c + 1) + 0.05 * (h + 1) * (n + 1) + 0.031 * (w + 1) * (c + 1)
    return 0.8 * numpy.sin(wave) + 0.4 * hashed(shape, key)


def picture(height_px: int, width_px: int, key: int) -> numpy.ndarray:
    """Return the README's ``test_image(H,W,k)``: float64 [3,H,W]."""
    c, h, w = numpy.ogrid[:3, :height_px, :width_px]
    wave = 0.35 * numpy.sin(0.9 * c + 0.4 * h + 0.23 * w)
    return numpy.clip(0.5 + wave + 0.15 * hashed((3, height_px, width_px), key), 0, 1)


def picture_pixels(height_px: int, width_px: int, key: int) -> numpy.ndarray:
    """Return `picture` as uint8 [H,W,3]."""
    pixels = numpy.rint(255 * picture(height_px, width_px, key)).astype(numpy.uint8)
    return numpy.ascontiguousarray(pixels.transpose(1, 2, 0))


def weight(scheme: str, position: int, shape: tuple[int, ...], is_scale: bool) -> numpy.ndarray:
    """Return the values of one parameter under a weight scheme of the README."""
    if len(shape) >= 2:
        fan_in = int(numpy.prod(shape[1:]))
        if scheme == "const":
            return numpy.full(shape, 1 / fan_in)
        key = position if scheme == "reg" else sum(size * 31**axis for axis, size in enumerate(shape)) % 2**32
        return numpy.sqrt(6 / fan_in) * hashed(shape, key)
    if scheme == "reg":
        return 1 + 0.2 * hashed(shape, position) if is_scale else 0.1 * hashed(shape, position)
    return numpy.ones(shape) if is_scale else numpy.zeros(shape)
