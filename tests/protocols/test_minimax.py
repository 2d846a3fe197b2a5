"""One repeat of the Minimax protocol on a problem of two colours."""

from __future__ import annotations

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
from uvlp.protocols.training.images import Images, Prepared, prepare, resize_and_crop
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


def test_it_learns() -> None:
    score = run()
    assert score.last_pct > 85
    assert (score.train_images, score.validation_images) == (70, 101)
    assert score.parameters == 8 * 27 + 8 + 8 * 72 + 8 + 4 * 8 + 2 * 32 + 2


def test_best_last_and_their_bits_agree_with_the_curve() -> None:
    score = run(validations=12, epochs=12)
    epochs, accuracies = zip(*score.curve, strict=True)
    assert epochs == tuple(range(1, 13))
    assert score.best_pct == max(accuracies) and score.last_pct == accuracies[-1]
    assert score.best_epoch == epochs[accuracies.index(max(accuracies))]  # the first one on ties
    for digits, pct in ((score.correct_best, score.best_pct), (score.correct_last, score.last_pct)):
        assert len(digits) == 2 * 13  # 101 bits
        assert bits(digits).sum() == pytest.approx(pct * 101 / 100)


def test_equal_seeds_give_equal_results_and_others_do_not() -> None:
    torch.manual_seed(1)
    first = run(seed=3)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert run(seed=3) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert run(seed=4).curve != first.curve


def test_the_full_set_has_its_own_epochs() -> None:
    assert [epoch for epoch, _ in run(full=True).curve] == [1, 2]


def test_zero_epochs_mean_the_rule_by_ipc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvlp.protocols.training.minimax_rules.EPOCHS", ((20, 9), (50, 3)))
    assert run(epochs=0).curve[-1][0] == 3


def test_fewer_epochs_than_validations() -> None:
    assert [epoch for epoch, _ in run(epochs=3, validations=20).curve] == [1, 2, 3]


def test_without_cutmix_it_learns_too() -> None:
    assert run(mix_probability=0.0).last_pct > 85
    assert run(mix_probability=0.5).curve != run(mix_probability=1.0).curve


@pytest.mark.parametrize("network", ["resnet-10", "resnet-ap-10"])
def test_the_other_families_train(network: str) -> None:
    assert len(run(network, epochs=2, validations=2).curve) == 2


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"channels_last": True}])
def test_other_roundings_learn_as_well(change: dict[str, Any]) -> None:
    assert run(**change).last_pct > 85


def test_the_last_batch_may_be_of_one_image() -> None:
    assert run(epochs=2, batch=69).curve[-1][0] == 2


def test_progress_counts_epochs() -> None:
    events: list[Event] = []
    run(epochs=5, progress=Progress(events.append, "evaluate"))
    assert (events[-1].done, events[-1].total) == (5, 5)


def test_a_diverging_loss_names_network_epoch_and_step() -> None:
    with pytest.raises(UvlpError, match=r"loss is not a number: network convnet-2, epoch [12], step [12];"):
        run(lr=1e30)


def test_a_network_too_deep_for_the_images() -> None:
    with pytest.raises(
        UvlpError, match="convnet-4 is too deep for images of 8 px; allowed: convnet-1 to convnet-3"
    ):
        run("convnet-4")


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UvlpError, match="unknown network: got 'convent-3'"):
        run("convent-3")


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
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(UvlpError, match=f"setting evaluate.{name} out of range: got {value}; allowed: "):
        run(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("network", ["resnet-10", "resnet-ap-10"])
def test_a_last_batch_of_one_image_may_be_too_small(network: str, norm: str) -> None:
    """Its last maps of images of 8 px have one pixel."""
    with pytest.raises(UvlpError) as caught:
        run(network, norm=norm, batch=23, epochs=1)
    assert caught.value.what == "a batch of one image is too small for the network's last maps"
    assert run(network, norm=norm, batch=24, epochs=1).train_images == 70


@pytest.mark.parametrize(("network", "size_px"), [("convnet-3", 8), ("resnet-10", 9), ("resnet-ap-10", 16)])
def test_a_last_batch_of_one_image_with_several_pixels_trains(network: str, size_px: int) -> None:
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
def test_a_name_is_a_family_and_a_depth(name: str, expected: tuple[str, int]) -> None:
    assert split_network(name) == expected


@pytest.mark.parametrize(
    "name", ["convnet", "convnet-", "convnet3", "convnet-0", "-3", "", "resnet-ap", "ConvNet-3"]
)
def test_a_name_without_a_depth_is_an_error_that_shows_one(name: str) -> None:
    with pytest.raises(UvlpError, match="network without a depth: .*convnet-3"):
        split_network(name)
