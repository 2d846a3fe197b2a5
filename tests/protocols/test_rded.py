"""One repeat of the RDED protocol on images with stripes, with a trained teacher."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

from tests.protocols.stripes import CLASSES, prepared, stripes
from uvlp.artifacts import teachers
from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.protocols import rded
from uvlp.protocols.training import augment, rded_networks
from uvlp.protocols.training.images import Images, Prepared
from uvlp.protocols.training.loop import train_step
from uvlp.protocols.training.optimisers import Sgd
from uvlp.recipes.evaluation import RdedSettings

SETTINGS = RdedSettings(size_px=8, epochs=12, validation_period=1, batch=16, lr=0.002)


TRAIN, VALIDATION = stripes(70, 0), prepared(stripes(101, 1))
HARD = prepared(stripes(101, 1, noise=400))


def trained(size_px: int) -> torch.nn.Module:
    """Train a conv3 on the stripes with hard labels."""
    network = rded_networks.seeded("conv3", classes=CLASSES, size_px=size_px, seed=9)
    optimiser = Sgd(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    examples = stripes(64, 2, size_px)
    images = augment.normalise(prepared(examples).pixels)
    for _ in range(12):
        train_step(network, optimiser, images.clone(), torch.from_numpy(examples.labels), None)
    return network


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a teacher."""
    folder = tmp_path_factory.mktemp("teacher")
    facts = teachers.Teacher(
        architecture="conv3",
        size_px=8,
        class_ids=("horizontal", "vertical"),
        source="a test",
        accuracy_pct=100.0,
        per_class_pct=(100.0, 100.0),
        validation_set="stripes",
        validation_images=101,
    )
    save_file(trained(8).state_dict(), folder / teachers.WEIGHTS)
    teachers.write(folder, facts)
    return folder


def run(
    teacher: Path,
    network: str = "conv3",
    seed: int = 0,
    train: Images = TRAIN,
    progress: Progress | None = None,
    validation: Prepared = VALIDATION,
    full: bool = False,
    classes: int = CLASSES,
    **changes: object,
) -> Score:
    return rded.evaluate(
        train,
        validation,
        network=network,
        classes=classes,
        ipc=35,
        settings=replace(SETTINGS, **changes),  # type: ignore[arg-type]
        seed=seed,
        progress=progress or Progress(),
        full=full,
        teacher=teacher,
    )


def test_a_student_learns_without_labels(teacher: Path) -> None:
    unlabelled = Images(pixels=TRAIN.pixels, labels=numpy.zeros_like(TRAIN.labels))
    score = run(teacher, train=unlabelled, epochs=6)
    assert score.last_pct > 90
    assert (score.train_images, score.validation_images, score.validation_set) == (70, 101, "stripes")
    assert score.parameters == 3584 + 2 * 147584 + 6 * 128 + 2 * 129
    assert score.top5_last_pct is None


def test_validation_covers_the_last_fifth_of_the_epochs(teacher: Path) -> None:
    score = run(teacher, epochs=20, validation=HARD)
    epochs, accuracies = zip(*score.curve, strict=True)
    assert epochs == (18, 19, 20)  # 0-based epochs above 16
    assert score.best_pct == max(accuracies) and score.last_pct == accuracies[-1]
    assert score.best_epoch == epochs[accuracies.index(max(accuracies))]
    bits = numpy.unpackbits(numpy.frombuffer(bytes.fromhex(score.correct_best), numpy.uint8))
    assert bits.sum() == pytest.approx(score.best_pct * 101 / 100)


def test_results_depend_on_the_seed_alone(teacher: Path) -> None:
    torch.manual_seed(1)
    first = run(teacher, seed=3, validation=HARD, epochs=3, validation_start=0.0)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert run(teacher, seed=3, validation=HARD, epochs=3, validation_start=0.0) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert run(teacher, seed=4, validation=HARD, epochs=3).correct_last != first.correct_last


@pytest.mark.parametrize(
    "changes",
    [
        {"mix": "mixup"},
        {"accumulation": 2},
        {"optimiser": "sgd", "lr": 0.0},
        {"schedule": "linear"},
        {"channels_last": True},
        {"temperature": 4.0, "batch": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_option_trains(teacher: Path, changes: dict[str, object]) -> None:
    assert run(teacher, **{"epochs": 6, **changes}).last_pct > 90  # type: ignore[arg-type]


def test_patches_of_larger_images_train(teacher: Path) -> None:
    larger = stripes(70, 3, 16)
    mixed = Images(
        pixels=[*larger.pixels[:35], *(image[:13] for image in larger.pixels[35:])], labels=larger.labels
    )
    score = run(teacher, train=mixed, factor=2, epochs=2)
    assert score.train_images == 70


def test_more_patches_than_pixels_are_refused(teacher: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        run(teacher, factor=9)
    assert "rded.factor" in caught.value.what
    assert (caught.value.got, caught.value.allowed) == (9, "up to 8 for these images")


def test_more_accumulation_than_batches_is_refused(teacher: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        run(teacher, accumulation=80)
    assert "rded.accumulation" in caught.value.what
    assert caught.value.got == 80 and str(caught.value.allowed).startswith("up to 70,")


def test_another_architecture_trains_on_the_full_dataset(teacher: Path) -> None:
    score = run(teacher, "resnet18_modified", full=True, batch=0, lr=0.0, epochs_full=1)
    assert score.curve[-1][0] == 1 and score.parameters == 11_173_962 - 8 * 513


def test_a_last_batch_of_one_image_is_refused_if_the_last_map_is_1x1(teacher: Path) -> None:
    assert run(teacher, batch=69, epochs=1).curve[-1][0] == 1
    with pytest.raises(UvlpError) as caught:
        run(teacher, "resnet18", batch=69, epochs=1)
    assert caught.value.got == "70 images in batches of 69"


def test_dropout_is_seeded(teacher: Path) -> None:
    first, second = (run(teacher, "mobilenet_v2", epochs=1, batch=35, lr=0.01) for _ in range(2))
    assert first == second


def test_progress_counts_epochs(teacher: Path) -> None:
    events: list[Event] = []
    run(teacher, epochs=3, progress=Progress(events.append, "evaluate"))
    assert (events[-1].done, events[-1].total) == (3, 3)


def test_a_diverging_loss_names_network_epoch_and_step(teacher: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        run(teacher, lr=1e30, epochs=2)
    assert re.search(r"network conv3, epoch [12], step \d$", caught.value.what)
    assert "rded.lr" in str(caught.value.fix)


@pytest.mark.parametrize(("name", "value", "has"), [("size_px", 16, 8), ("classes", 3, 2)])
def test_a_teacher_of_another_size_is_refused(teacher: Path, name: str, value: int, has: int) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(UvlpError) as caught:
        run(teacher, **changes)
    assert caught.value.what == f"the teacher's {name}"
    assert caught.value.got == has and str(caught.value.allowed).startswith(f"{value},")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch", -1),
        ("validation_period", 0),
        ("validation_start", 1.5),
        ("accumulation", 0),
        ("lr", -0.1),
        ("lr", float("nan")),
        ("temperature", -1.0),
        ("factor", 0),
        ("flip", 1.5),
        ("mixup_beta", 0.0),
        ("optimiser", "adam"),
        ("schedule", "cosine"),
        ("mix", "none"),
    ],
)
def test_impossible_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(UvlpError) as caught:
        rded.check("conv3", replace(SETTINGS, **{name: value}))  # type: ignore[arg-type]
    assert f"rded.{name}" in caught.value.what
    assert caught.value.got is value and caught.value.allowed


def test_images_too_small_for_the_network_are_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        rded.check("conv4", SETTINGS)
    assert caught.value.got == 8 and str(caught.value.allowed).startswith("at least 16,")


def test_names_are_converted_to_the_published_ones() -> None:
    assert [rded.canonical(name) for name in ("convnet-3", "Conv3", "resnet-18-modified")] == [
        "conv3",
        "conv3",
        "resnet18_modified",
    ]
    assert all(rded.canonical(name) == name for name in rded.networks())
    with pytest.raises(UvlpError) as caught:
        rded.canonical("convent-3")
    assert caught.value.got == "convent-3"


def test_names_are_available_without_torch_and_numpy() -> None:
    """Planning needs them, even if every result is stored."""
    code = (
        "import sys; from uvlp.protocols import rded; rded.canonical('conv3'), rded.networks(); "
        "print({'torch', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("size_px", [32, 64, 128, 224])
@pytest.mark.parametrize("shape", [(300, 225), (225, 301), (32, 32), (150, 99), (280, 280)])
def test_validation_images_are_those_of_torchvision(shape: tuple[int, int], size_px: int) -> None:
    pixels = numpy.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=numpy.uint8)
    transform = transforms.Compose(
        [transforms.Resize(size_px // 7 * 8, antialias=True), transforms.CenterCrop(size_px)]
    )
    expected = numpy.asarray(transform(Image.fromarray(pixels)))
    numpy.testing.assert_array_equal(rded.validation_pixels(pixels, size_px), expected)


def test_float_images_of_the_same_values_train_alike(teacher: Path) -> None:
    floats = numpy.asarray(TRAIN.pixels).astype(numpy.float32) / numpy.float32(255)
    same = run(teacher, train=Images(pixels=floats, labels=TRAIN.labels, floats=True))
    assert same == run(teacher)
