"""One repeat of the Minimax protocol on images with stripes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch

from tests.protocols.stripes import stripes
from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.networks.parts.names import split_network
from uvlp.protocols.minimax import evaluate
from uvlp.protocols.training.images import Images, Prepared, SoftLabels, prepare, resize_and_crop
from uvlp.recipes.evaluation import EvaluateSettings

SETTINGS = EvaluateSettings(size_px=8, width=8, epochs=12, epochs_full=2, validations=4)


def prepared(images: Images, size_px: int) -> Prepared:
    pixels = prepare(images.pixels, size_px, resize_and_crop)
    return Prepared(pixels=pixels, labels=images.labels, name="stripes")


TRAIN, VALIDATION = stripes(70, 0), stripes(101, 1)


def run(
    network: str = "convnet-2",
    seed: int = 0,
    full: bool = False,
    progress: Progress | None = None,
    **changes: object,
) -> Score:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return evaluate(
        TRAIN,
        prepared(VALIDATION, settings.size_px),
        network=network,
        classes=2,
        ipc=35,
        settings=settings,
        seed=seed,
        progress=progress or Progress(),
        full=full,
    )


def bits(digits: str) -> numpy.ndarray:
    return numpy.unpackbits(numpy.frombuffer(bytes.fromhex(digits), numpy.uint8))


def test_a_training_learns() -> None:
    score = run()
    assert score.last_pct > 85
    assert (score.train_images, score.validation_images) == (70, 101)
    assert score.parameters == 8 * 27 + 8 + 8 * 72 + 8 + 4 * 8 + 2 * 32 + 2


def test_best_and_last_accuracy_and_predictions_agree_with_the_curve() -> None:
    score = run(validations=12, epochs=12)
    epochs, accuracies = zip(*score.curve, strict=True)
    assert epochs == tuple(range(1, 13))
    assert score.best_pct == max(accuracies) and score.last_pct == accuracies[-1]
    assert score.best_epoch == epochs[accuracies.index(max(accuracies))]  # the first one on ties
    for digits, pct in ((score.correct_best, score.best_pct), (score.correct_last, score.last_pct)):
        assert len(digits) == 2 * 13  # 101 bits
        assert bits(digits).sum() == pytest.approx(pct * 101 / 100)


def test_results_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = run(seed=3)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert run(seed=3) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert run(seed=4).curve != first.curve


def test_the_full_dataset_has_its_own_epochs() -> None:
    assert [epoch for epoch, _ in run(full=True).curve] == [1, 2]


def test_zero_epochs_select_the_rule_by_ipc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvlp.protocols.training.minimax_rules.EPOCHS", ((20, 9), (50, 3)))
    assert run(epochs=0).curve[-1][0] == 3


def test_with_fewer_epochs_than_validations_every_epoch_is_validated() -> None:
    assert [epoch for epoch, _ in run(epochs=3, validations=20).curve] == [1, 2, 3]


def test_a_training_without_cutmix_learns() -> None:
    assert run(mix_probability=0.0).last_pct > 85
    assert run(mix_probability=0.5).curve != run(mix_probability=1.0).curve


@pytest.mark.parametrize("network", ["resnet-10", "resnet-ap-10"])
def test_the_other_families_train(network: str) -> None:
    assert len(run(network, epochs=2, validations=2).curve) == 2


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"channels_last": True}])
def test_a_training_in_other_formats_learns(change: dict[str, Any]) -> None:
    assert run(**change).last_pct > 85


def test_a_last_batch_of_one_image_trains() -> None:
    assert run(epochs=2, batch=69).curve[-1][0] == 2


def test_progress_counts_epochs() -> None:
    events: list[Event] = []
    run(epochs=5, progress=Progress(events.append, "evaluate"))
    assert (events[-1].done, events[-1].total) == (5, 5)


def test_a_diverging_loss_names_network_epoch_and_step() -> None:
    with pytest.raises(UvlpError) as caught:
        run(lr=1e30)
    assert re.search(r"network convnet-2, epoch [12], step [12]$", caught.value.what)


def test_a_network_too_deep_for_the_images_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        run("convnet-4")
    assert str(caught.value.allowed).startswith("convnet-1 to convnet-3")


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        run("convent-3")
    assert (caught.value.what, caught.value.got) == ("unknown network", "convent-3")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validations", 0),
        ("batch", 0),
        ("epochs", -1),
        ("mix_probability", 1.5),
        ("crop_scale", 0.0),
        ("width", -2),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UvlpError) as caught:
        run(**{name: value})  # type: ignore[arg-type]
    assert f"evaluate.{name} " in caught.value.what and caught.value.got == value


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("network", ["resnet-10", "resnet-ap-10"])
def test_a_last_batch_of_one_image_is_refused_if_the_last_map_is_1x1(network: str, norm: str) -> None:
    with pytest.raises(UvlpError) as caught:
        run(network, norm=norm, batch=23, epochs=1)
    assert caught.value.got == "70 images in batches of 23"
    assert run(network, norm=norm, batch=24, epochs=1).train_images == 70


@pytest.mark.parametrize(("network", "size_px"), [("convnet-3", 8), ("resnet-10", 9), ("resnet-ap-10", 16)])
def test_a_last_batch_of_one_image_with_a_larger_last_map_trains(network: str, size_px: int) -> None:
    score = run(network, norm="batch", size_px=size_px, batch=23, epochs=1)
    assert score.train_images == 70


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convnet-3", ("convnet", 3)),
        ("resnet-18", ("resnet", 18)),
        ("resnet-ap-10", ("resnet_ap", 10)),
        ("resnet_ap_10", ("resnet_ap", 10)),
    ],
)
def test_a_name_is_split_into_family_and_depth(name: str, expected: tuple[str, int]) -> None:
    assert split_network(name) == expected


@pytest.mark.parametrize(
    "name", ["convnet", "convnet-", "convnet3", "convnet-0", "-3", "", "resnet-ap", "ConvNet-3"]
)
def test_a_name_without_a_depth_is_refused(name: str) -> None:
    with pytest.raises(UvlpError) as caught:
        split_network(name)
    assert caught.value.what == "network without a depth" and "convnet-3" in str(caught.value.fix)


def trained(images: Images) -> Score:
    return evaluate(
        images,
        prepared(VALIDATION, SETTINGS.size_px),
        network="convnet-2",
        classes=2,
        ipc=35,
        settings=SETTINGS,
        seed=0,
        progress=Progress(),
    )


def test_float_images_of_the_same_values_train_alike() -> None:
    floats = numpy.asarray(TRAIN.pixels).astype(numpy.float32) / numpy.float32(255)
    assert trained(Images(pixels=floats, labels=TRAIN.labels, floats=True)) == run()


def test_float_images_beyond_the_range_are_not_clamped() -> None:
    floats = 3 * numpy.asarray(TRAIN.pixels).astype(numpy.float32) / 255 - 1
    wide = Images(pixels=floats, labels=TRAIN.labels, floats=True)
    clamped = Images(pixels=floats.clip(0, 1), labels=TRAIN.labels, floats=True)
    assert trained(wide) != trained(clamped)


def test_a_network_learns_soft_labels_in_place_of_class_indices() -> None:
    swapped = numpy.eye(2, dtype=numpy.float32)[1 - TRAIN.labels] * 0.8 + 0.1
    soft = SoftLabels(swapped, 1.0)
    assert trained(Images(pixels=TRAIN.pixels, labels=TRAIN.labels, soft=soft)).last_pct < 15
