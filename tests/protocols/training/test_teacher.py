"""A small teacher on four colours: trained, measured, kept, imported, and every file that is refused."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from uvlp.artifacts import teachers
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.protocols.training import checkpoint, rded_networks, teacher
from uvlp.protocols.training.augment import normalise
from uvlp.protocols.training.images import Prepared
from uvlp.recipes.evaluation import TeacherSettings

NAMES = ("red", "green", "blue", "grey")
COLOURS = numpy.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [130, 130, 130]])
SETTINGS = TeacherSettings(epochs=3, batch=16, lr=0.02, crop_scale=0.5)


def colours(per_class: int, seed: int) -> Prepared:
    """Images of 8 px, one noisy colour each."""
    labels = numpy.repeat(numpy.arange(len(NAMES)), per_class)
    noise = numpy.random.default_rng(seed).normal(0, 40, (len(labels), 3, 8, 8))
    pixels = numpy.clip(COLOURS[labels][:, :, None, None] + noise, 0, 255).astype(numpy.uint8)
    return Prepared(pixels=torch.from_numpy(pixels), labels=labels, name="colours, 40 test images")


VALIDATION = colours(10, seed=1)


def trained(seed: int = 0, progress: Progress | None = None, **changes: Any) -> nn.Module:
    return teacher.train(
        colours(13, seed=0),  # 52 images: batches of 16, 16, 16 and 4
        "conv3",
        classes=len(NAMES),
        settings=replace(SETTINGS, **changes),
        flip=0.5,
        seed=seed,
        device="cpu",
        progress=progress or Progress(),
    )


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return trained()


@pytest.fixture(scope="module")
def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@torch.inference_mode()
def logits(network: nn.Module) -> torch.Tensor:
    return network.eval()(normalise(VALIDATION.pixels))


def reordered(state: dict[str, torch.Tensor], order: list[int]) -> dict[str, torch.Tensor]:
    classifier = {f"classifier.{part}": state[f"classifier.{part}"][order] for part in ("weight", "bias")}
    return {**state, **classifier}


def measure(network: nn.Module, **changes: Any) -> tuple[float, tuple[float | None, ...]]:
    return teacher.measure(network, VALIDATION, NAMES, replace(SETTINGS, **changes), "cpu")


def imported(path: Path, architecture: str = "conv3", classes: int = 4, size_px: int = 8) -> nn.Module:
    return checkpoint.from_file(path, architecture, classes=classes, size_px=size_px)


def test_training_learns_and_reports_every_epoch(network: nn.Module) -> None:
    events: list[Event] = []
    again = trained(progress=Progress(events.append, "teacher"))
    assert events[-1] == Event("teacher epochs", 3, 3)
    assert torch.equal(logits(again), logits(network)), "equal seeds, equal weights"
    accuracy_pct, per_class_pct = measure(network)
    assert accuracy_pct > 90 and len(per_class_pct) == 4
    assert accuracy_pct == pytest.approx(numpy.mean([pct for pct in per_class_pct if pct is not None]))
    assert not network.training


def test_another_seed_gives_another_network_and_the_global_stream_stays(network: nn.Module) -> None:
    before = torch.random.get_rng_state()
    other = trained(seed=1, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(next(other.parameters()), next(network.parameters()))


def test_dropout_draws_from_the_seed() -> None:
    images = colours(2, seed=0)
    settings = replace(SETTINGS, epochs=1)

    def made(seed: int) -> torch.Tensor:
        network = teacher.train(
            images,
            "mobilenet_v2",
            classes=4,
            settings=settings,
            flip=0.0,
            seed=seed,
            device="cpu",
            progress=Progress(),
        )
        return list(network.parameters())[-2]

    torch.manual_seed(1)
    first = made(0)
    torch.manual_seed(2)
    assert torch.equal(first, made(0))


def test_the_learning_rate_falls_twice() -> None:
    rates = [teacher.learning_rate(epoch, 90, 0.1) for epoch in range(1, 91)]
    assert rates == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30)
    assert [teacher.learning_rate(epoch, 2, 1.0) for epoch in (1, 2)] == pytest.approx([1.0, 0.1])


@pytest.mark.parametrize(("count", "sizes"), [(33, [16, 17]), (34, [16, 16, 2]), (32, [16, 16]), (17, [17])])
def test_no_batch_holds_a_single_image(count: int, sizes: list[int]) -> None:
    parts = teacher.batches(torch.arange(count), 16)
    assert [len(part) for part in parts] == sizes
    assert torch.equal(torch.cat(parts), torch.arange(count))


def test_one_image_is_too_few() -> None:
    with pytest.raises(UvlpError, match="training images of a teacher: got 1; allowed: at least 2"):
        teacher.batches(torch.arange(1), 16)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("batch", 1), ("lr", -1.0), ("lr", float("nan")), ("crop_scale", 1.5)]
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(UvlpError, match=f"setting teacher.{name} out of range"):
        teacher.check_settings(replace(SETTINGS, **changed))


def test_a_loss_that_is_no_number_is_named() -> None:
    with pytest.raises(UvlpError, match=r"network conv3 \(teacher\), epoch 1.*--set teacher.lr=2.5e\+29"):
        trained(lr=1e30)


def test_what_is_saved_is_loaded(network: nn.Module, tmp_path: Path) -> None:
    accuracy_pct, per_class_pct = measure(network)
    teacher.save(network, tmp_path)
    facts = teachers.Teacher(
        architecture="conv3",
        size_px=8,
        class_ids=NAMES,
        source="trained here",
        accuracy_pct=accuracy_pct,
        per_class_pct=per_class_pct,
        validation_set=VALIDATION.name,
        validation_images=len(VALIDATION.labels),
    )
    teachers.write(tmp_path, facts)
    loaded = teacher.load_teacher(tmp_path)
    assert torch.equal(logits(loaded), logits(network))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    whole = (tmp_path / teachers.WEIGHTS).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:-1]):
        (tmp_path / teachers.WEIGHTS).write_bytes(damaged)
        with pytest.raises(UvlpError, match="damaged weights of a teacher"):
            teacher.load_teacher(tmp_path)


def test_published_accuracy_is_held(network: nn.Module) -> None:
    accuracy_pct, _ = measure(network)
    measure(network, published_pct=accuracy_pct - 2.5)
    with pytest.raises(UvlpError, match="accuracy on the real test images.*published 80 % within 3 points"):
        measure(network, published_pct=80.0)


def test_an_untrained_teacher_is_near_chance() -> None:
    raw = rded_networks.seeded("conv3", classes=4, size_px=8, seed=0).eval()
    with torch.no_grad():
        list(raw.parameters())[-1][2] += 100  # it answers blue, whatever it sees
    with pytest.raises(UvlpError, match=r"near chance on 40 real test images of 4 classes: got '25\.0 %'"):
        measure(raw)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([1, 0, 2, 3], "output 1 answers for 'red' (0), output 0 answers for 'green' (1):"),
        ([3, 0, 1, 2], "output 1 answers for 'red' (0), output 2 answers for 'green' (1), output 3"),
    ],
)
def test_outputs_in_another_order_are_reported_by_name(
    state: dict[str, torch.Tensor], network: nn.Module, order: list[int], words: str
) -> None:
    wrong = rded_networks.seeded("conv3", classes=4, size_px=8, seed=0)
    wrong.load_state_dict(reordered(state, order))
    with pytest.raises(UvlpError) as caught:
        measure(wrong)
    text = str(caught.value)
    assert words in text and "another order than the dataset's classes" in text
    advised = [order.index(label) for label in range(4)]
    assert str(advised) in text
    wrong.load_state_dict(reordered(reordered(state, order), advised))
    assert torch.equal(logits(wrong), logits(network)), "the advice mends it"


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_in_every_wrapping(
    state: dict[str, torch.Tensor], network: nn.Module, tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    content: dict[str, Any] = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    if wrapper:
        content = {wrapper: content, "optimizer": {"lr": 0.1}, "epoch": 3}
    torch.save(content, tmp_path / "teacher.pth")
    assert torch.equal(logits(imported(tmp_path / "teacher.pth")), logits(network))


def test_safetensors(state: dict[str, torch.Tensor], network: nn.Module, tmp_path: Path) -> None:
    save_file(state, tmp_path / "teacher.safetensors")
    assert torch.equal(logits(imported(tmp_path / "teacher.safetensors")), logits(network))


def test_torchvisions_files_are_named_and_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def wanted() -> nn.Module:
        return checkpoint.from_torchvision("mobilenet_v2", classes=1000, size_px=64)

    with pytest.raises(UvlpError, match="mobilenet_v2 are not on this machine; download .*mobilenet_v2") as e:
        wanted()
    path = Path(str(e.value).rpartition(" to ")[2])
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    kept = rded_networks.seeded("mobilenet_v2", classes=1000, size_px=64, seed=5)
    torch.save(kept.state_dict(), path)
    begins = path.stem.rpartition("-")[2]
    with pytest.raises(UvlpError, match=f"damaged: got .*; allowed: a file whose SHA-256 begins {begins}"):
        wanted()
    monkeypatch.setattr(checkpoint, "file_sha256", lambda _: begins)
    assert torch.equal(list(wanted().parameters())[-2], list(kept.parameters())[-2])


@pytest.mark.parametrize(
    ("architecture", "classes", "words"),
    [
        ("conv3", 1000, "publishes no weights of this network: got 'conv3'"),
        ("resnet18_modified", 1000, "publishes no weights of this network"),
        ("resnet18", 10, "classes of a dataset for torchvision's weights: got 10; allowed: the 1000"),
    ],
)
def test_torchvision_has_no_such_weights(architecture: str, classes: int, words: str) -> None:
    with pytest.raises(UvlpError, match=words):
        checkpoint.from_torchvision(architecture, classes=classes, size_px=224)


class Custom:
    """Something that no weights-only reader makes."""


@pytest.mark.parametrize(
    ("further", "name"),
    [(argparse.Namespace(lr=0.1), "argparse.Namespace"), (Custom(), "Custom"), (print, "print")],
)
def test_a_pickle_with_more_than_weights(
    state: dict[str, torch.Tensor], tmp_path: Path, further: object, name: str
) -> None:
    torch.save({"model": state, "args": further}, tmp_path / "teacher.pth")
    with pytest.raises(UvlpError, match=rf"more than weights, \S*{name}.*weights_only=False") as caught:
        imported(tmp_path / "teacher.pth")
    assert "\n" not in str(caught.value)


def test_the_advice_for_such_a_pickle_works(
    state: dict[str, torch.Tensor], network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"model": state, "args": argparse.Namespace(lr=0.1)}, tmp_path / "teacher.pth")
    with pytest.raises(UvlpError) as caught:
        imported(tmp_path / "teacher.pth")
    monkeypatch.chdir(tmp_path)
    assert caught.value.fix is not None
    exec(caught.value.fix.partition('python -c "')[2].rstrip('"'), {})
    assert torch.equal(logits(imported(tmp_path / "teacher-weights.pth")), logits(network))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_truncated_files(state: dict[str, torch.Tensor], tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"teacher{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UvlpError, match=f"damaged teacher checkpoint: got '.*teacher{suffix}'"):
        imported(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UvlpError, match="no such teacher checkpoint"):
        imported(tmp_path / "none.pth")
    with pytest.raises(UvlpError, match="unknown kind.*allowed: .safetensors .pth .pt"):
        imported(tmp_path / "teacher.onnx")
    for junk in (b"hello world" * 9, b"garbage"):
        (tmp_path / "junk.pth").write_bytes(junk)
        with pytest.raises(UvlpError, match="damaged"):
            imported(tmp_path / "junk.pth")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {}}, [torch.ones(2)], {"model": [1]}])
def test_files_without_weights(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "teacher.pth")
    with pytest.raises(UvlpError, match="teacher checkpoint without weights"):
        imported(tmp_path / "teacher.pth")


def test_weights_that_are_no_numbers(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file({**state, "classifier.bias": torch.full((4,), torch.nan)}, tmp_path / "t.safetensors")
    with pytest.raises(UvlpError, match="not numbers: got .*look at classifier.bias"):
        imported(tmp_path / "t.safetensors")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"classes": 10}, "classes of the teacher: got 4; allowed: 10, as the dataset has"),
        ({"size_px": 32}, "classifier: got 128; allowed: 2048 at this image size.*rded.size_px=8"),
        ({"architecture": "conv4", "size_px": 16}, "is no conv4: .*missing.*looks like a conv3"),
        ({"architecture": "resnet18"}, "is no resnet18: .*unexpected: .*looks like a conv3"),
    ],
)
def test_weights_of_another_network(
    state: dict[str, torch.Tensor], tmp_path: Path, asked: dict[str, Any], words: str
) -> None:
    save_file(state, tmp_path / "t.safetensors")
    with pytest.raises(UvlpError, match=words):
        imported(tmp_path / "t.safetensors", **asked)


def test_the_two_stems_of_resnet_are_told_apart(tmp_path: Path) -> None:
    modified = rded_networks.seeded("resnet18_modified", classes=4, size_px=8, seed=0)
    save_file(modified.state_dict(), tmp_path / "t.safetensors")
    with pytest.raises(UvlpError, match="of another shape: conv1.weight.*like a resnet18_modified"):
        imported(tmp_path / "t.safetensors", "resnet18")


def test_unnamed_weights_are_not_guessed(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "t.safetensors")
    with pytest.raises(UvlpError, match="choose the network that the file was made with"):
        imported(tmp_path / "t.safetensors")


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_program_with_the_weights_of_a_teacher(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advised command makes a checkpoint of it."""
    network = rded_networks.seeded("resnet18", classes=10, size_px=32, seed=0)
    path = tmp_path / f"teacher{suffix}"
    torch.jit.script(network).save(str(path))
    with pytest.raises(UvlpError) as caught:
        checkpoint.read(path)
    error = caught.value
    assert error.what == "teacher checkpoint is a TorchScript archive, a program with its weights"
    assert error.got == str(path)
    command = re.search(r'python -c "([^"]+)"$', error.fix or "")
    assert command is not None
    monkeypatch.chdir(tmp_path)
    exec(command[1], {})
    read = checkpoint.read(tmp_path / "teacher-weights.pth")
    assert read.keys() == network.state_dict().keys()
    assert all(torch.equal(read[name], value) for name, value in network.state_dict().items())
