"""The protocols on an NVIDIA GPU: they learn, agree with a CPU, are deterministic and never synchronise.

python -m pytest -m gpu tests/protocols/test_gpu.py
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.protocols.stripes import CLASSES, prepared, stripes
from uvlp.artifacts import teachers
from uvlp.artifacts.scores import Score
from uvlp.core.plugins import load
from uvlp.core.progress import Progress
from uvlp.models.device import arithmetic, prepare_network
from uvlp.networks.parts.names import split_network
from uvlp.protocols import minimax, rded
from uvlp.protocols.training import (
    augment,
    minimax_training,
    mixing,
    patches,
    rded_networks,
    rded_rules,
    rded_training,
)
from uvlp.protocols.training.images import Images
from uvlp.protocols.training.loop import predict, train_step
from uvlp.protocols.training.optimisers import Sgd
from uvlp.protocols.training.patches import SizedImages
from uvlp.protocols.training.teacher import measure, save, train
from uvlp.recipes.evaluation import EvaluateSettings, RdedSettings, TeacherSettings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("default::UserWarning"),  # CUDA's libraries emit some
]

MINIMAX = EvaluateSettings(size_px=8, width=8, epochs=12, validations=4)
RDED = RdedSettings(size_px=8, epochs=12, validation_period=1, batch=16, lr=0.002)
TRAIN, VALIDATION = stripes(70, 0), prepared(stripes(101, 1))
ROUNDING: dict[str, Any] = {"precision": "float32", "deterministic": True}
"""The arithmetic closest to a CPU's."""


def seeded(network: str, size_px: int) -> nn.Module:
    """Return a network of either protocol, always with the same weights."""
    if network in rded_networks.ARCHITECTURES:
        return rded_networks.seeded(network, classes=CLASSES, size_px=size_px, seed=9)
    family, depth = split_network(network)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(9)
        return load("networks", family).build(depth, classes=CLASSES, size_px=size_px)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a teacher trained and measured on the GPU."""
    folder = tmp_path_factory.mktemp("teacher")
    settings = TeacherSettings(epochs=30, batch=16, lr=0.02, crop_scale=0.9)
    with torch.random.fork_rng(devices=[0]):
        network = train(
            prepared(stripes(64, 2)),
            "conv3",
            classes=CLASSES,
            settings=settings,
            flip=0.5,
            seed=0,
            device="cuda",
            progress=Progress(),
        )
    names = ("horizontal", "vertical")
    accuracy_pct, per_class_pct = measure(network, VALIDATION, names, settings, "cuda")
    assert accuracy_pct > 90
    save(network, folder)
    teachers.write(
        folder,
        teachers.Teacher(
            architecture="conv3",
            size_px=8,
            class_ids=names,
            source="a test",
            accuracy_pct=accuracy_pct,
            per_class_pct=per_class_pct,
            validation_set="stripes",
            validation_images=101,
        ),
    )
    return folder


def minimax_score(**changes: Any) -> Score:
    return minimax.evaluate(
        TRAIN,
        VALIDATION,
        network="convnet-2",
        classes=CLASSES,
        ipc=35,
        settings=replace(MINIMAX, **changes),
        seed=0,
        progress=Progress(),
        device="cuda",
    )


def rded_score(teacher: Path, **changes: Any) -> Score:
    return rded.evaluate(
        TRAIN,
        VALIDATION,
        network="conv3",
        classes=CLASSES,
        ipc=35,
        settings=replace(RDED, **changes),
        seed=0,
        progress=Progress(),
        device="cuda",
        teacher=teacher,
    )


OPTIONS: list[dict[str, Any]] = [
    {},
    {"precision": "float32"},
    {"precision": "bfloat16"},
    {"channels_last": True},
    {"precision": "bfloat16", "channels_last": True},
    {"deterministic": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_both_protocols_learn(teacher: Path, options: dict[str, Any]) -> None:
    assert minimax_score(**options).last_pct > 85
    assert rded_score(teacher, **options).last_pct > 90


@pytest.mark.parametrize(
    "options",
    [{"optimiser": "sgd", "lr": 0.05}, {"mix": "mixup"}, {"accumulation": 2}, {"factor": 2}],
    ids=str,
)
def test_rded_learns_with_every_kind_of_step(teacher: Path, options: dict[str, Any]) -> None:
    assert rded_score(teacher, epochs=20, **options).last_pct > 75


def test_minimax_learns_without_momentum() -> None:
    assert minimax_score(momentum=0.0, lr=0.05).last_pct > 75


def trained(network: str, size_px: int, channels_last: bool) -> dict[str, Tensor]:
    """Return the state of a network after two deterministic epochs, as a student if it is one of RDED's."""
    train, validation = stripes(40, 0, size_px), prepared(stripes(24, 1, size_px))
    model = prepare_network(seeded(network, size_px), "cuda", "tf32", channels_last)
    common: dict[str, Any] = {"seed": 0, "device": "cuda", "progress": Progress()}
    with torch.random.fork_rng(devices=[0]), arithmetic("cuda", "tf32", deterministic=True):
        torch.manual_seed(1)  # dropout
        if network in rded_networks.ARCHITECTURES:
            settings = RdedSettings(size_px=size_px, epochs=2, batch=16, factor=2)
            master = prepare_network(
                seeded(network, size_px).eval().requires_grad_(False), "cuda", "tf32", False
            )
            rules = rded_rules.rules(settings, network, network, CLASSES, 20)
            common |= {"settings": settings, "rules": rules}
            rded_training.train_and_validate(model, master, network, train, validation, **common)
        else:
            common |= {"settings": EvaluateSettings(size_px=size_px, batch=16, validations=1)}
            minimax_training.train_and_validate(
                model, network, train, validation, classes=CLASSES, epochs=2, **common
            )
    return model.state_dict()


@pytest.mark.parametrize(
    ("network", "size_px", "channels_last"),
    [
        ("convnet-3", 32, False),
        ("resnet-18", 32, False),
        ("resnet-18", 96, False),  # max pooling
        ("resnet-18", 224, False),
        ("resnet-18", 96, True),
        ("resnet-ap-10", 224, False),
        ("conv3", 32, False),
        ("resnet18_modified", 32, False),
        ("resnet18", 224, False),
        ("mobilenet_v2", 64, False),
        ("efficientnet_b0", 64, False),
        ("vgg11", 64, False),
        ("alexnet", 96, False),
        ("swin_v2_t", 64, False),
    ],
)
def test_deterministic_trainings_give_the_same_bits(network: str, size_px: int, channels_last: bool) -> None:
    first, second = (trained(network, size_px, channels_last) for _ in range(2))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_deterministic_scores_are_equal(teacher: Path) -> None:
    assert minimax_score(deterministic=True) == minimax_score(deterministic=True)
    assert rded_score(teacher, deterministic=True) == rded_score(teacher, deterministic=True)


@pytest.mark.parametrize("size_px", [32, 224])
def test_augmentation_agrees_with_a_cpu(size_px: int) -> None:
    pixels = prepared(stripes(9, 0, size_px)).pixels
    draws = augment.draw(
        numpy.random.default_rng(0), 9, size_px, crop_scale=0.5, flip=0.5, jitter=0.4, lighting=0.1
    )
    made = []
    for device in ("cpu", "cuda"):
        with arithmetic(device, "tf32", deterministic=False):
            made.append(
                augment.augment(pixels.to(device) / 255, augment.prepare(draws, size_px, device)).cpu()
            )
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2])
def test_augmentation_for_rded_agrees_with_a_cpu(factor: int) -> None:
    pictures = [*stripes(5, 0, 64).pixels, *stripes(4, 1, 80).pixels]
    made = []
    for device in ("cpu", "cuda"):
        images = SizedImages(pictures, device)
        order = numpy.random.default_rng(0).permutation(len(images))
        height_px, width_px = images.height_px[order], images.width_px[order]
        draws = patches.draw(numpy.random.default_rng(1), height_px, width_px, factor=factor, flip=0.5)
        with arithmetic(device, "tf32", deterministic=False):
            made.append(patches.augment(images, order, draws, 64, factor).cpu())
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "size_px"),
    [("convnet-3", 32), ("resnet-18", 32), ("resnet-ap-10", 32), ("conv3", 32), ("vgg11", 64)],
)
def test_predictions_agree_with_a_cpu(network: str, size_px: int) -> None:
    model, pixels = seeded(network, size_px), prepared(stripes(20, 0, size_px)).pixels
    expected = predict(model, pixels)
    with arithmetic("cuda", **ROUNDING):
        found = predict(model.to("cuda"), pixels.to("cuda")).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", ["convnet-3", "resnet-18", "resnet-ap-10", "conv3"])
def test_a_step_agrees_with_a_cpu(network: str) -> None:
    batch = prepared(stripes(16, 0, 32))
    images, labels = augment.normalise(batch.pixels), torch.from_numpy(batch.labels)
    found: list[tuple[Tensor, list[Tensor]]] = []
    for device in ("cpu", "cuda"):
        model = copy.deepcopy(seeded(network, 32)).to(device).train()
        optimiser = Sgd(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
        mix = mixing.draw_cutmix(numpy.random.default_rng(0), 16, 32, 1.0, device)
        with arithmetic(device, **ROUNDING):
            loss, _ = train_step(model, optimiser, images.clone().to(device), labels.to(device), mix)
        found.append((loss.cpu(), [parameter.detach().cpu() for parameter in model.parameters()]))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-4)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Context in which an operation that makes the host wait for the GPU raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_an_epoch_never_waits_for_the_gpu() -> None:
    train = Images(
        pixels=[*stripes(20, 0, 32).pixels, *stripes(20, 1, 48).pixels], labels=numpy.arange(40) % 2
    )
    hard = EvaluateSettings(size_px=32, batch=16)
    soft = RdedSettings(size_px=32, batch=16, factor=2)
    rules = rded_rules.rules(soft, "conv3", "conv3", CLASSES, 20)
    student, master = seeded("conv3", 32).cuda(), seeded("conv3", 32).cuda().eval().requires_grad_(False)
    with arithmetic("cuda", "tf32", deterministic=False):
        first = minimax_training._MinimaxTrainer(
            seeded("resnet-18", 32).cuda(), train, CLASSES, hard, 0, "cuda"
        )
        second = rded_training._RdedTrainer(student, master, train, rules, soft, 0, "cuda")
        first.epoch(1, 9), second.epoch(1)  # selects kernels and allocates pinned memory
        with no_waiting():
            losses = [first.epoch(2, 9), second.epoch(2)]
    assert all(bool(values.isfinite().all()) for values in losses)


def test_two_workers_share_the_gpu(tmp_path: Path) -> None:
    """`uvlp evaluate` with both repeats at once; each is reproduced bit by bit when trained again."""
    for split, count, seed in (("train", 6, 0), ("val", 20, 1), ("mine", 6, 2)):
        root = tmp_path / split if split == "mine" else tmp_path / "data" / split
        images = stripes(count, seed, 32)
        for number, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
            folder = root / ("horizontal", "vertical")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    arguments = ["evaluate", str(tmp_path / "mine"), "--dataset", f"folder:{tmp_path}/data"]
    arguments += ["--profile", "nano", "--no-random", "--repeats", "2", "--workers", "2"]
    arguments += ["--store", str(tmp_path / "store"), "--set", "evaluate.deterministic=true"]
    command = [sys.executable, "-m", "uvlp", *arguments]
    scored = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300)
    assert scored.returncode == 0, scored.stderr
    (cell,) = json.loads(scored.stdout)["table"]["cells"]
    assert len(cell["best_pct"]) == 2
    scores = tmp_path / "store" / "scores"
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in scores.glob("*/manifest.json")]
    assert len(manifests) == 2 and torch.cuda.get_device_name(0) in json.dumps(manifests)
    for repeat in ("1", "2"):
        again = subprocess.run([*command, "--rerun", repeat], capture_output=True, text=True, timeout=300)
        assert again.returncode == 0, again.stderr
