"""Golden augmentation: given draws against the reference, and the distributions of random draws."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch

from tests.protocols.golden_data import (
    arrays,
    family,
    hashed,
    network_input,
    over_rows,
    picture,
    picture_pixels,
    read,
)
from tests.tolerances import EXPONENTIAL, rounding
from uvlp.protocols.training import augment, mixing, random_crop
from uvlp.protocols.training.images import crop_origin, prepare, resize_and_crop, resized_size

AUGMENT = "augment.json"
ARRAYS = arrays("augment.npz")
OPERATIONS = {"B": augment.BRIGHTNESS, "C": augment.CONTRAST, "S": augment.SATURATION}


def draws(
    size_px: int,
    box: list[int] | None = None,
    flip: bool = False,
    order: str = "BCS",
    jitter: tuple[float, float, float] = (0, 0, 0),
    lighting: tuple[float, float, float] | list[float] = (0, 0, 0),
) -> augment.Draws:
    """Return given draws for one image; the defaults change nothing."""
    return augment.Draws(
        box=numpy.asarray([box or [0, 0, size_px, size_px]]),
        flip=numpy.asarray([flip]),
        order=numpy.asarray([[OPERATIONS[letter] for letter in order]]),
        jitter=numpy.asarray([jitter], dtype=float),
        lighting=numpy.asarray([lighting], dtype=float),
    )


def augmented(image: numpy.ndarray, size_px: int, **explicit: Any) -> numpy.ndarray:
    """Augment one image [3,S,S] in float64."""
    tensors = augment.prepare(draws(size_px, **explicit), size_px, dtype=torch.float64)
    return augment.augment(torch.from_numpy(image)[None].double(), tensors)[0].numpy()


def denormalised(image: numpy.ndarray) -> numpy.ndarray:
    return image * numpy.asarray(augment.STD)[:, None, None] + numpy.asarray(augment.MEAN)[:, None, None]


def jitter_of(case: dict[str, Any]) -> tuple[float, float, float]:
    return case["brightness_alpha"], case["contrast_alpha"], case["saturation_alpha"]


@over_rows(family(AUGMENT, "jitter"))
def test_jitter(case: dict[str, Any]) -> None:
    image = picture(case["H"], case["W"], case["k"])
    if "op" in case:
        order = numpy.asarray([[("brightness", "contrast", "saturation").index(case["op"])]])
        alphas = numpy.full((1, 3), case["alpha"])
    else:
        order = numpy.asarray([[OPERATIONS[letter] for letter in case["order"]]])
        alphas = numpy.asarray([jitter_of(case)])
    ((p, q, r),) = augment.jitter_terms(order, alphas)
    luminance = numpy.tensordot(augment.LUMINANCE, image, 1)
    found = p * image + q * luminance + r * luminance.mean()
    # A mean of the luminance, of three colours, and three operations on values below three.
    bound = rounding(image[0].size + 3 + 3 * 4, torch.float64, largest=3.0)
    numpy.testing.assert_allclose(found, ARRAYS[case["key"]], rtol=0, atol=bound)


@over_rows(family(AUGMENT, "lighting"))
def test_lighting(case: dict[str, Any]) -> None:
    (shift,) = augment.lighting_shift(numpy.asarray([case["alpha"]]))
    bound = rounding(2 * 3 + 3)  # the reference computes and stores it in float32
    numpy.testing.assert_allclose(shift, case["rgb_shift"], rtol=0, atol=bound)
    image = picture(case["H"], case["W"], case["k"])
    numpy.testing.assert_allclose(image + shift[:, None, None], ARRAYS[case["key"]], rtol=0, atol=bound)


@over_rows(family(AUGMENT, "rrc_resize"))
def test_crop_and_resize(case: dict[str, Any]) -> None:
    image = torch.from_numpy(picture(case["H"], case["W"], case["k"]))
    spans = ((case["top"], case["h"], case["out"][0]), (case["left"], case["w"], case["out"][1]))
    rows, columns = (
        torch.from_numpy(augment.coordinates(numpy.asarray([start]), numpy.asarray([length]), side_px))
        for start, length, side_px in spans
    )
    found = augment.resample(image[None], rows, columns)[0]
    # The reference's grid is float32: three roundings of a coordinate, slopes of one, and two products.
    bound = rounding(3, largest=float(max(image.shape))) + rounding(2 * 3)
    numpy.testing.assert_allclose(found, ARRAYS[case["key"]], rtol=0, atol=bound)


@over_rows(family(AUGMENT, "rrc_sampler"))
def test_crop_size(case: dict[str, Any]) -> None:
    uniforms = (numpy.asarray([case[name]]) for name in ("u_area", "u_logratio"))
    height, width, valid = random_crop.crop_size(case["size"], case["size"], case["scale"][0], *uniforms)
    assert case["scale"][1] == 1
    assert (height[0], width[0], valid[0]) == (case["h"], case["w"], case["valid"])


@over_rows(family(AUGMENT, "pil"))
def test_resize_and_centre_crop(case: dict[str, Any]) -> None:
    pixels = picture_pixels(case["H"], case["W"], case["k"])
    width_px, height_px = resized_size(case["W"], case["H"], case["size"])
    assert [width_px, height_px] == case["resized_wh"]
    assert crop_origin(height_px, case["size"]) == case["crop_top"]
    assert crop_origin(width_px, case["size"]) == case["crop_left"]
    found = prepare([pixels], case["size"], resize_and_crop)[0].permute(1, 2, 0)
    numpy.testing.assert_array_equal(found, ARRAYS[case["key"]])


@over_rows(family(AUGMENT, "pipeline"))
def test_pipeline(case: dict[str, Any]) -> None:
    prepared = prepare([picture_pixels(case["H"], case["W"], case["k"])], case["size"], resize_and_crop)
    explicit = draws(
        case["size"],
        box=case["box_top_left_h_w"],
        flip=case["hflip"],
        order=case["jitter_order"],
        jitter=jitter_of(case),
        lighting=case["lighting_alpha"],
    )
    found = augment.augment(prepared / 255, augment.prepare(explicit, case["size"]))[0]
    # As for the flip below, plus the reference's float32 coordinates; 4.4 is 1 / std.
    size_px = case["size"]
    bound = rounding(2 * size_px + size_px**2 + 7, largest=4.4) + rounding(3, largest=4.4 * size_px)
    numpy.testing.assert_allclose(found, ARRAYS[case["train_key"]], rtol=0, atol=bound)
    numpy.testing.assert_array_equal(augment.normalise(prepared)[0], ARRAYS[case["val_key"]])


@over_rows(family(AUGMENT, "bbox"))
def test_box(case: dict[str, Any]) -> None:
    sides = case["size_dim2"], case["size_dim3"]
    found = mixing.box(*sides, case["lam"], (case["cx"], case["cy"]))
    assert found == (case["bbx1"], case["bby1"], case["bbx2"], case["bby2"])
    assert mixing.kept_share(*sides, found) == pytest.approx(case["ratio"], abs=rounding(3, torch.float64))


@over_rows(family(AUGMENT, "cutmix"))
def test_mixed_batch_and_loss(case: dict[str, Any]) -> None:
    images = torch.from_numpy(network_input(tuple(case["input"]["shape"]), case["input"]["k"]))
    corners = case["bbx1"], case["bby1"], case["bbx2"], case["bby2"]
    mix = mixing.Mix(torch.tensor(case["perm"]), corners, case["ratio"])
    numpy.testing.assert_array_equal(mixing.mix_(images, mix), ARRAYS[case["key"]])
    logits = case["logits"]
    values = torch.from_numpy(logits["scale"] * hashed(tuple(logits["shape"]), logits["k"]))
    assert mixing.cutmix_loss(values, torch.tensor(case["labels"]), mix).item() == pytest.approx(
        case["loss"], abs=rounding(logits["shape"][1] + 3 * EXPONENTIAL + 9, torch.float64, logits["scale"])
    )


CROPS: dict[str, Any] = read(AUGMENT).get("rrc_distribution_monte_carlo", {})


@pytest.mark.parametrize("name", CROPS)
def test_distribution_of_crops(name: str) -> None:
    """Means and quantiles of 40,000 draws within five standard errors of the reference's 400,000."""
    expected = CROPS[name]
    side_px, count = expected["S"], 40_000
    sides = numpy.full(count, side_px)
    boxes = random_crop.draw_boxes(numpy.random.default_rng(0), sides, sides, expected["scale"][0])
    height, width = boxes[:, 2], boxes[:, 3]
    area = height * width / side_px**2
    assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= side_px).all()
    error = 5 / numpy.sqrt(count)
    assert height.mean() == pytest.approx(expected["mean_h"], abs=error * height.std() + 1e-9)
    assert width.mean() == pytest.approx(expected["mean_w"], abs=error * width.std() + 1e-9)
    assert area.mean() == pytest.approx(expected["mean_area_frac"], abs=error * area.std() + 1e-9)
    full = (area == 1).mean()
    assert full == pytest.approx(
        expected["p_full_crop"], abs=error * numpy.sqrt(expected["p_full_crop"]) + 1e-9
    )
    for share in (10, 50, 90):
        found = numpy.percentile(area, share)
        assert found == pytest.approx(expected[f"p{share}_area"], abs=0.01)
    if expected["corr_hw"] is not None:
        assert numpy.corrcoef(height, width)[0, 1] == pytest.approx(expected["corr_hw"], abs=2 * error)


def test_distribution_of_first_attempts() -> None:
    for expected in CROPS.values():
        uniforms = numpy.random.default_rng(1).random((2, 40_000))
        *_, valid = random_crop.crop_size(expected["S"], expected["S"], expected["scale"][0], *uniforms)
        assert valid.mean() == pytest.approx(expected["p_first_try_valid"], abs=5 * 0.5 / 200)


def test_distribution_of_the_cutmix_ratio() -> None:
    expected = read(AUGMENT).get(
        "cutmix_ratio_distribution_224", {"mean": 0.681, "std": 0.188, "quantiles": {}}
    )
    generator = numpy.random.default_rng(0)
    mixes = [mixing.draw_cutmix(generator, 1, 224, 1.0) for _ in range(10_000)]
    ratios = numpy.asarray([mix.ratio for mix in mixes if mix is not None])
    assert len(ratios) == 10_000
    assert ratios.mean() == pytest.approx(expected["mean"], abs=5 * 0.19 / 100)
    assert ratios.std() == pytest.approx(expected["std"], abs=0.01)
    assert ratios.min() > 0.0177  # the share that the largest box leaves at 224 px
    for share, value in expected["quantiles"].items():
        assert numpy.quantile(ratios, float(share)) == pytest.approx(value, abs=0.015)


def test_distribution_of_flip_order_jitter_and_lighting() -> None:
    count = 60_000
    found = augment.draw(
        numpy.random.default_rng(0), count, 224, crop_scale=0.5, flip=0.5, jitter=0.4, lighting=0.1
    )
    assert found.flip.mean() == pytest.approx(0.5, abs=0.011)
    orders, frequencies = numpy.unique(found.order, axis=0, return_counts=True)
    assert len(orders) == 6
    numpy.testing.assert_allclose(frequencies / count, 1 / 6, atol=0.008)
    assert abs(found.jitter).max() <= 0.4
    numpy.testing.assert_allclose(found.jitter.std(0), 0.8 / numpy.sqrt(12), rtol=0.02)
    numpy.testing.assert_allclose(found.lighting.std(0), 0.1, rtol=0.02)
    for values in (found.jitter, found.lighting):
        numpy.testing.assert_allclose(values.mean(0), 0, atol=0.006)
        numpy.testing.assert_allclose(numpy.corrcoef(values.T), numpy.eye(3), atol=0.03)


def test_flip_mirrors_the_crop() -> None:
    image = picture(16, 16, 1)
    plain = augmented(image, 16, box=[1, 2, 9, 11])
    flipped = augmented(image, 16, box=[1, 2, 9, 11], flip=True)
    # Operations: 16 weights of a row, 16 of a column, a mean of 256, 3 colours twice, an offset; 4.4 is
    # 1 / std. A wrong column or weight changes the leading digits of pixels.
    bound = rounding(16 + 16 + 256 + 3 + 3 + 1, torch.float64, largest=4.4)
    numpy.testing.assert_allclose(flipped, plain[:, :, ::-1], rtol=0, atol=bound)


def test_neutral_draws_preserve_the_image() -> None:
    image = picture(16, 16, 1)
    bound = rounding(2 * 16 + 3 + 4, torch.float64, largest=4.4)
    numpy.testing.assert_allclose(denormalised(augmented(image, 16)), image, rtol=0, atol=bound)


def test_every_array_belongs_to_a_case() -> None:
    found = {
        case[name]
        for key in ("jitter", "lighting", "rrc_resize", "pil", "cutmix", "pipeline")
        for case in family(AUGMENT, key)
        for name in ("key", "train_key", "val_key")
        if name in case
    }
    assert set(ARRAYS) == found
