"""Captioners that measure: strokes of digits, colours of photographs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tolerances import rounding
from uvlp.captioners import colours, strokes
from uvlp.captioners.texts.clauses import third_words


def _canvas() -> np.ndarray:
    return np.zeros((32, 32))


def _line(shift: int, width: int = 3) -> np.ndarray:
    """A stroke whose top is ``shift`` pixels to the right of its bottom."""
    grey = _canvas()
    for y in range(4, 28):
        x = 14 + round(shift * (15.5 - y) / 24)
        grey[y, x : x + width] = 1
    return grey


def _ring(*tops: int) -> np.ndarray:
    grey = _canvas()
    for top in tops:
        grey[top : top + 11, 10:21] = 1
        grey[top + 3 : top + 8, 13:18] = 0
    return grey


def test_slant_is_positive_to_the_right() -> None:
    left, upright, right = (strokes.measure(_line(shift)).slant for shift in (-8, 0, 8))
    assert left < -0.2 < upright < 0.2 < right and abs(upright) < rounding(32 * 32, torch.float64, 32.0)


def test_weight_grows_with_the_stroke() -> None:
    weights = [strokes.measure(_line(0, width)).weight_px for width in (2, 4, 8)]
    assert weights == sorted(weights) and weights[0] == 1.0


@pytest.mark.parametrize(("tops", "loops"), [((), 0), ((2,), 1), ((2, 10), 2)])
def test_loops_are_enclosed_background(tops: tuple[int, ...], loops: int) -> None:
    assert strokes.measure(_ring(*tops) if tops else _line(0)).loops == loops


def test_aspect_ink_and_height_are_measured() -> None:
    grey = _canvas()
    grey[4:8, 4:24] = 1
    grey[8:28, 4:6] = 1
    measured = strokes.measure(grey)
    assert measured.aspect == pytest.approx(20 / 24) and measured.ink == pytest.approx(120 / 1024)
    assert measured.height > 0 > strokes.measure(grey[::-1]).height


def test_an_empty_image_has_zero_measurements() -> None:
    measured = strokes.measure(_canvas())
    assert (measured.weight_px, measured.ink, measured.loops) == (0, 0, 0)


def _pictures() -> np.ndarray:
    grey = [_line(shift, width) for shift in (-8, 0, 8) for width in (2, 4, 6)]
    return (np.stack(grey)[..., None] * 255).astype(np.uint8).repeat(3, axis=3)


def test_captions_describe_the_strokes() -> None:
    texts = strokes.captions(_pictures(), ["seven"] * 9)
    assert texts == strokes.captions(_pictures(), ["seven"] * 9)
    assert texts[0].startswith("a handwritten digit seven, thin strokes, leaning left, no loop, ")
    assert texts[8].startswith("a handwritten digit seven, thick strokes, leaning right, no loop, ")
    assert "upright" in texts[4] and "medium strokes" in texts[4]
    assert strokes.plain("seven") == texts[0].split(", ")[0]


def test_third_words_cut_at_the_terciles() -> None:
    assert third_words(np.arange(9.0), ("a", "b", "c")) == list("aaabbbccc")
    assert third_words(np.zeros(3), ("a", "b", "c")) == list("aaa")


def _photo(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((32, 32, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("colour", "hue"),
    [
        ((200, 20, 20), "mostly red"),
        ((200, 200, 20), "mostly yellow"),
        ((20, 200, 20), "mostly green"),
        ((20, 200, 200), "mostly cyan"),
        ((20, 20, 200), "mostly blue"),
        ((200, 20, 200), "mostly pink"),
        ((120, 120, 125), "mostly grey"),
        ((0, 0, 0), "mostly grey"),
    ],
)
def test_the_main_hue_is_named(colour: tuple[int, int, int], hue: str) -> None:
    assert hue in colours.captions(_photo(colour)[None], ["cat"])[0]


def test_captions_distinguish_photos() -> None:
    top = _photo((10, 10, 10))
    top[:8] = 250
    stripes = _photo((240, 60, 60))
    stripes[::2] = (60, 60, 240)
    texts = colours.captions(np.stack([_photo((10, 10, 10)), top, stripes]), ["cat", "dog", "ship"])
    assert (
        texts[0].startswith("a photo of a cat, dark, low contrast, mostly grey, ")
        and "evenly lit" in texts[0]
    )
    assert "high contrast" in texts[1] and "bright top" in texts[1]
    assert "vivid colours" in texts[2] and "much detail" in texts[2]
    assert colours.plain("dog") == "a photo of a dog"
