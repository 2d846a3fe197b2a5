"""RDED against its description in float64, its draws, and classes that are too small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, pad
from torchvision.transforms.functional import resized_crop

from tests.methods.algorithms.optimising.small_inputs import SIZE_PX, small_inputs
from tests.methods.algorithms.small_teacher import small_teacher
from tests.tolerances import rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.methods import rded
from uvlp.methods.algorithms import rded_sampling
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.rded import Settings
from uvlp.protocols.training.random_crop import SQUARE, draw_boxes
from uvlp.protocols.training.teacher import load_teacher

SETTINGS = Settings(factor=2, candidates=9, crops=3)
MEAN, STD = (
    torch.tensor(values, dtype=torch.float64)[:, None, None]
    for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)
SHAPES = ((24, 24), (24, 15), (17, 24))


def inputs_of(folder: Path, **changes: int) -> MethodInput:
    """Classes of ten images of three shapes, larger than the images that are made."""
    large = small_inputs(per_class=10, size_px=24, models=small_teacher(folder), **changes)  # type: ignore[arg-type]

    def cropped(read: object) -> object:
        def of(rows: Sequence[int]) -> list[np.ndarray]:
            found = read(rows)  # type: ignore[operator]
            shapes = [SHAPES[row % 3] for row in rows]
            return [image[:height, :width] for image, (height, width) in zip(found, shapes, strict=True)]

        return of

    classes = [replace(data, read_originals=cropped(data.read_originals)) for data in large.classes]  # type: ignore[arg-type]
    return replace(large, classes=classes, size_px=SIZE_PX)


def made(inputs: MethodInput, settings: Settings = SETTINGS, done: int = 0) -> dict[int, np.ndarray]:
    """Images by row."""
    batches = rded.sample(inputs, settings, Progress(), done)
    return {row: image for rows, images in batches for row, image in zip(rows, images, strict=True)}


def test_images_follow_the_description_in_float64(tmp_path: Path) -> None:
    """Of every image the crop with the least loss, of those the best eight, two by two in a mosaic."""
    inputs = inputs_of(tmp_path)
    teacher, images = load_teacher(tmp_path).double(), made(inputs)
    crops, cell = SETTINGS.crops, SIZE_PX // 2
    # Products of rows, columns and colours, and their weights, and of the normalisation, both ways.
    bound = 255 * rounding(2 * 24 + 20, largest=3.0)
    for index, data in enumerate(inputs.classes):
        generator = numpy_generator(inputs.seed, "rded", data.id)
        rows = generator.permutation(data.rows)[: SETTINGS.candidates].tolist()
        originals = [
            torch.from_numpy(each.copy()).permute(2, 0, 1).double() / 255 for each in data.originals(rows)
        ]
        height, width = (np.repeat([each.shape[side] for each in originals], crops) for side in (1, 2))
        boxes = draw_boxes(generator, height, width, SETTINGS.crop_scale, ratio=SQUARE).reshape(-1, crops, 4)
        best = []
        for original, own in zip(originals, boxes.tolist(), strict=True):
            cut = [resized_crop(original, *box, [cell, cell], antialias=True) for box in own]
            normalised = [(each - MEAN) / STD for each in cut]
            padded = torch.stack([pad(each, (4, 4, 4, 4)) for each in normalised])
            losses = cross_entropy(teacher(padded), torch.full((crops,), index), reduction="none")
            best.append((float(losses.min()), cut[int(losses.argmin())]))
        chosen = [crop for _, crop in sorted(best, key=lambda pair: pair[0])][: 2 * 4]
        for slot in range(2):
            corners = [chosen[2 * number + slot] for number in range(4)]
            expected = torch.cat([torch.cat(corners[:2], 2), torch.cat(corners[2:], 2)], 1)
            levels = torch.from_numpy(images[2 * index + slot]).permute(2, 0, 1)
            fraction = 255 * expected - levels
            assert -bound <= float(fraction.min()) and float(fraction.max()) < 1 + bound


def test_crops_are_squares_of_the_range_within_their_image() -> None:
    height, width = np.full(500, 30), np.full(500, 21)
    boxes = draw_boxes(np.random.default_rng(0), height, width, 0.08, ratio=SQUARE)
    top, left, down, across = boxes.T
    assert (down == across).all() and (top + down <= 30).all() and (left + across <= 21).all()
    # sqrt(0.08 * 630) is 7.1; no larger square than 21 fits.
    assert down.min() == 7 and down.max() == 21 and len(set(top.tolist())) > 10


def test_crops_that_share_a_pass_are_chosen_as_single_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = inputs_of(tmp_path)
    together = made(inputs)
    monkeypatch.setitem(rded_sampling.PIXELS_PER_PASS, "cpu", 1)
    alone = made(inputs)
    for row, image in together.items():
        # Rounding moves a truncated level by one at most.
        assert np.abs(image.astype(int) - alone[row]).max() <= 1


def test_a_resumed_run_gives_the_same_bytes(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path)
    every, rest = made(inputs), made(inputs, done=4)
    assert list(rest) == [4, 5]
    for row, image in rest.items():
        np.testing.assert_array_equal(image, every[row])


def test_the_seed_decides_about_images_and_crops(tmp_path: Path) -> None:
    first, again, other = (made(inputs_of(tmp_path, seed=seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(first[row], again[row]) for row in first)
    assert not any(np.array_equal(first[row], other[row]) for row in first)


@pytest.mark.parametrize(
    ("changes", "ipc", "counts", "got", "allowed"),
    [
        ({}, 10, [50, 39, 60], 39, "at least 40"),
        ({"factor": 1}, 10, [9, 50], 9, "at least 10"),
        ({"candidates": 30}, 10, [300], 30, "at least 40"),
    ],
)
def test_too_few_different_images_for_the_crops_are_refused(
    changes: dict[str, Any], ipc: int, counts: list[int], got: int, allowed: str
) -> None:
    with pytest.raises(UvlpError) as caught:
        rded.check(replace(Settings(), **changes), ipc, counts, None)
    assert (caught.value.got, caught.value.allowed) == (got, allowed)


def test_just_enough_images_are_accepted() -> None:
    rded.check(Settings(candidates=40), 10, [40], None)


def test_crops_smaller_than_a_pixel_are_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        rded.teacher(Settings(factor=17), 16)
    assert (caught.value.got, caught.value.allowed) == (17, "1 to 16")
