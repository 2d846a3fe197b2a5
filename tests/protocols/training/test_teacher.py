"""A small teacher on four colours: training, measurement, saving, import, and refused checkpoints."""

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
    """Return images of 8 px, one noisy colour each."""
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
    assert events[-1] == Event("teacher, epochs", 3, 3)
    assert torch.equal(logits(again), logits(network)), "equal seeds, equal weights"
    accuracy_pct, per_class_pct = measure(network)
    assert accuracy_pct > 90 and len(per_class_pct) == 4
    assert accuracy_pct == pytest.approx(numpy.mean([pct for pct in per_class_pct if pct is not None]))
    assert not network.training


def test_weights_depend_on_the_seed_and_the_global_generator_is_restored(network: nn.Module) -> None:
    before = torch.random.get_rng_state()
    other = trained(seed=1, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(next(other.parameters()), next(network.parameters()))


def test_dropout_draws_from_the_seed() -> None:
    images = colours(2, seed=0)
    settings = replace(SETTINGS, epochs=1)

    def weights(seed: int) -> torch.Tensor:
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
    first = weights(0)
    torch.manual_seed(2)
    assert torch.equal(first, weights(0))


def test_the_learning_rate_is_decayed_twice() -> None:
    rates = [teacher.learning_rate(epoch, 90, 0.1) for epoch in range(1, 91)]
    assert rates == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30)
    assert [teacher.learning_rate(epoch, 2, 1.0) for epoch in (1, 2)] == pytest.approx([1.0, 0.1])


@pytest.mark.parametrize(("count", "sizes"), [(33, [16, 17]), (34, [16, 16, 2]), (32, [16, 16]), (17, [17])])
def test_no_batch_has_a_single_image(count: int, sizes: list[int]) -> None:
    parts = teacher.batches(torch.arange(count), 16)
    assert [len(part) for part in parts] == sizes
    assert torch.equal(torch.cat(parts), torch.arange(count))


def test_a_single_training_image_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        teacher.batches(torch.arange(1), 16)
    assert (caught.value.got, caught.value.allowed) == (1, "at least 2")


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("batch", 1), ("lr", -1.0), ("lr", float("nan")), ("crop_scale", 1.5)]
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(UvlpError) as caught:
        teacher.check_settings(replace(SETTINGS, **changed))
    assert f"teacher.{name} " in caught.value.what


def test_a_diverging_loss_names_network_and_epoch() -> None:
    with pytest.raises(UvlpError) as caught:
        trained(lr=1e30)
    assert "network conv3 (teacher), epoch 1, " in caught.value.what
    assert "--set teacher.lr=2.5e+29" in str(caught.value.fix)


def test_a_saved_teacher_is_loaded_and_a_damaged_one_refused(network: nn.Module, tmp_path: Path) -> None:
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
    intact = (tmp_path / teachers.WEIGHTS).read_bytes()
    for damaged in (intact[: len(intact) // 2], b"", intact[:-1]):
        (tmp_path / teachers.WEIGHTS).write_bytes(damaged)
        with pytest.raises(UvlpError) as caught:
            teacher.load_teacher(tmp_path)
        assert caught.value.what == "damaged weights of a teacher"
        assert caught.value.got == str(tmp_path / teachers.WEIGHTS)


def test_an_accuracy_far_from_the_published_one_is_refused(network: nn.Module) -> None:
    accuracy_pct, _ = measure(network)
    measure(network, published_pct=accuracy_pct - 2.5)
    with pytest.raises(UvlpError) as caught:
        measure(network, published_pct=80.0)
    assert caught.value.allowed == "the published 80 % within 3 points"


def test_an_untrained_teacher_is_near_chance() -> None:
    raw = rded_networks.seeded("conv3", classes=4, size_px=8, seed=0).eval()
    with torch.no_grad():
        list(raw.parameters())[-1][2] += 100  # always predicts blue
    with pytest.raises(UvlpError) as caught:
        measure(raw)
    assert "near chance on 40 real test images of 4 classes" in caught.value.what
    assert caught.value.got == "25.0 %"


@pytest.mark.parametrize(
    ("order", "swaps"),
    [
        ([1, 0, 2, 3], "output 1 predicts class 0 ('red'), output 0 predicts class 1 ('green')"),
        ([3, 0, 1, 2], "output 1 predicts class 0 ('red'), output 2 predicts class 1 ('green'), output 3"),
    ],
)
def test_outputs_in_another_order_are_named_with_the_order_that_fixes_them(
    state: dict[str, torch.Tensor], network: nn.Module, order: list[int], swaps: str
) -> None:
    wrong = rded_networks.seeded("conv3", classes=4, size_px=8, seed=0)
    wrong.load_state_dict(reordered(state, order))
    with pytest.raises(UvlpError) as caught:
        measure(wrong)
    assert swaps in caught.value.what
    suggested = [order.index(label) for label in range(4)]
    assert str(suggested) in str(caught.value.fix)
    wrong.load_state_dict(reordered(reordered(state, order), suggested))
    assert torch.equal(logits(wrong), logits(network))


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_with_every_wrapper_are_read(
    state: dict[str, torch.Tensor], network: nn.Module, tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    content: dict[str, Any] = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    if wrapper:
        content = {wrapper: content, "optimizer": {"lr": 0.1}, "epoch": 3}
    torch.save(content, tmp_path / "teacher.pth")
    assert torch.equal(logits(imported(tmp_path / "teacher.pth")), logits(network))


def test_safetensors_are_read(state: dict[str, torch.Tensor], network: nn.Module, tmp_path: Path) -> None:
    save_file(state, tmp_path / "teacher.safetensors")
    assert torch.equal(logits(imported(tmp_path / "teacher.safetensors")), logits(network))


def test_missing_torchvision_weights_are_named_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def loaded() -> nn.Module:
        return checkpoint.from_torchvision("mobilenet_v2", classes=1000, size_px=64)

    with pytest.raises(UvlpError) as caught:
        loaded()
    path = Path(str(caught.value.fix).rpartition(" to ")[2])
    assert path.is_relative_to(tmp_path) and "mobilenet_v2" in path.name
    path.parent.mkdir(parents=True)
    stored = rded_networks.seeded("mobilenet_v2", classes=1000, size_px=64, seed=5)
    torch.save(stored.state_dict(), path)
    prefix = path.stem.rpartition("-")[2]
    with pytest.raises(UvlpError) as caught:
        loaded()
    assert caught.value.got == str(path) and str(caught.value.allowed).endswith(f" {prefix}")
    monkeypatch.setattr(checkpoint, "file_sha256", lambda _: prefix)
    assert torch.equal(list(loaded().parameters())[-2], list(stored.parameters())[-2])


@pytest.mark.parametrize(
    ("architecture", "classes", "got"),
    [("conv3", 1000, "conv3"), ("resnet18_modified", 1000, "resnet18_modified"), ("resnet18", 10, 10)],
)
def test_unpublished_torchvision_weights_are_refused(architecture: str, classes: int, got: object) -> None:
    with pytest.raises(UvlpError) as caught:
        checkpoint.from_torchvision(architecture, classes=classes, size_px=224)
    assert "torchvision" in caught.value.what and caught.value.got == got


class Custom:
    """A class that the weights-only reader refuses."""


@pytest.mark.parametrize(
    ("further", "name"),
    [(argparse.Namespace(lr=0.1), "argparse.Namespace"), (Custom(), "Custom"), (print, "print")],
)
def test_a_pickle_with_more_than_weights_is_refused(
    state: dict[str, torch.Tensor], tmp_path: Path, further: object, name: str
) -> None:
    torch.save({"model": state, "args": further}, tmp_path / "teacher.pth")
    with pytest.raises(UvlpError) as caught:
        imported(tmp_path / "teacher.pth")
    assert "more than weights" in caught.value.what and name in caught.value.what
    assert "weights_only=False" in str(caught.value.fix) and "\n" not in str(caught.value)


def test_the_suggested_command_extracts_the_weights_of_such_a_pickle(
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
def test_truncated_checkpoints_are_refused(
    state: dict[str, torch.Tensor], tmp_path: Path, suffix: str, keep: float
) -> None:
    path = tmp_path / f"teacher{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    intact = path.read_bytes()
    path.write_bytes(intact[: int(keep * len(intact))])
    error = refused(path)
    assert (error.what, error.got) == ("damaged teacher checkpoint", str(path))


def refused(path: Path, **requested: Any) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        imported(path, **requested)
    return caught.value


def test_missing_unknown_and_damaged_files_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.pth").what == "no such teacher checkpoint"
    assert refused(tmp_path / "teacher.onnx").allowed == ".safetensors .pth .pt"
    for junk in (b"hello world" * 9, b"garbage"):
        (tmp_path / "junk.pth").write_bytes(junk)
        assert refused(tmp_path / "junk.pth").what == "damaged teacher checkpoint"


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {}}, [torch.ones(2)], {"model": [1]}])
def test_files_without_weights_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "teacher.pth")
    assert refused(tmp_path / "teacher.pth").what == "teacher checkpoint without weights"


def test_nan_in_weights_is_refused(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file({**state, "classifier.bias": torch.full((4,), torch.nan)}, tmp_path / "t.safetensors")
    assert "classifier.bias" in str(refused(tmp_path / "t.safetensors").fix)


@pytest.mark.parametrize(
    ("requested", "got", "allowed", "fix"),
    [
        ({"classes": 10}, "4", "10, ", "choose a teacher of this dataset"),
        ({"size_px": 32}, "128", "2048 ", "rded.size_px=8"),
        ({"architecture": "conv4", "size_px": 16}, "missing: ", "the tensors of conv4", "conv3"),
        ({"architecture": "resnet18"}, "unexpected: ", "the tensors of resnet18", "conv3"),
    ],
)
def test_weights_of_another_network_are_refused(
    state: dict[str, torch.Tensor],
    tmp_path: Path,
    requested: dict[str, Any],
    got: str,
    allowed: str,
    fix: str,
) -> None:
    save_file(state, tmp_path / "t.safetensors")
    error = refused(tmp_path / "t.safetensors", **requested)
    assert got in str(error.got) and str(error.allowed).startswith(allowed) and fix in str(error.fix)


def test_the_two_stems_of_resnet_are_distinguished(tmp_path: Path) -> None:
    modified = rded_networks.seeded("resnet18_modified", classes=4, size_px=8, seed=0)
    save_file(modified.state_dict(), tmp_path / "t.safetensors")
    error = refused(tmp_path / "t.safetensors", architecture="resnet18")
    assert error.got == "wrong shape: conv1.weight" and "resnet18_modified" in str(error.fix)


def test_an_unknown_network_is_not_guessed(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "t.safetensors")
    assert refused(tmp_path / "t.safetensors").fix == "choose the network that was trained"


@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_torchscript_archive_is_refused_with_a_command_that_extracts_its_weights(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = rded_networks.seeded("resnet18", classes=10, size_px=32, seed=0)
    path = tmp_path / f"teacher{suffix}"
    torch.jit.script(network).save(str(path))
    with pytest.raises(UvlpError) as caught:
        checkpoint.read(path)
    error = caught.value
    assert "TorchScript" in error.what and error.got == str(path)
    command = re.search(r'python -c "([^"]+)"$', error.fix or "")
    assert command is not None
    monkeypatch.chdir(tmp_path)
    exec(command[1], {})
    read = checkpoint.read(tmp_path / "teacher-weights.pth")
    assert read.keys() == network.state_dict().keys()
    assert all(torch.equal(read[name], value) for name, value in network.state_dict().items())
