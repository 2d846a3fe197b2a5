"""Golden data of the RDED protocol: settings, schedule, loss, shuffling, weight decay, training steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from tests.protocols.golden_data import (
    arrays,
    family,
    hashed,
    network_input,
    over_rows,
    picture,
    read,
    weight,
)
from tests.protocols.rded_subsets import SUBSETS, input_px
from tests.tolerances import EXPONENTIAL, depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.protocols.training import rded_networks, rded_rules, rded_training
from uvlp.protocols.training.mixing import Blend, Mix
from uvlp.protocols.training.optimisers import AdamW, Grouped
from uvlp.protocols.training.patches import shuffle
from uvlp.protocols.training.rded_rules import resized_px, rules
from uvlp.recipes.evaluation import RdedSettings

FUNCTIONS = "rded_functions.json"
ARRAYS = arrays("rded.npz")
SYNTHESIS = "mix_images_"  # arrays of the family `synthesis`: tests/methods


def cases(key: str) -> list[Any]:
    return [pytest.param(case, id=f"{key}-{number}") for number, case in enumerate(family(FUNCTIONS, key))]


@over_rows(read("rded_settings.json"))
def test_settings(record: dict[str, Any]) -> None:
    subset, student, teacher = record["subset"], record["stud_name"], record["arch_name"]
    facts, ipc = SUBSETS[subset], record["ipc"]
    assert (facts.classes, facts.validation_images) == (record["nclass"], record["val_ipc"])
    size_px = input_px(subset, student, teacher)
    assert (size_px, resized_px(size_px)) == (record["input_size"], record["val_resize"])
    settings = RdedSettings(size_px=size_px)
    if not record["adamw_lr"]:  # the reference would train with a learning rate of 0
        with pytest.raises(UvlpError) as caught:
            rules(settings, student, teacher, facts.classes, ipc)
        assert caught.value.got == student
        settings = replace(settings, lr=0.1)
    derived = rules(settings, student, teacher, facts.classes, ipc)
    assert derived.weight_decay == record["adamw_weight_decay"]
    assert derived.temperature == record["temperature"]
    assert (settings.mix, settings.mixup_beta) == (record["mix_type"], record["mixup"])
    assert record["cutmix"] == 1.0  # Beta(1,1), the uniform distribution of `mixing.draw_cutmix`
    assert settings.schedule == ("half-cosine" if record["cos"] else "linear")
    assert derived.lr == (record["adamw_lr"] or settings.lr)
    batch = record["re_batch_size"]
    if not batch:  # the reference fails here; we use the batch of the next lower published IPC
        lower = max(published for published in (1, 10, 50) if published <= ipc)
        batch = rules(settings, student, teacher, facts.classes, lower).batch
    assert derived.batch == batch


@over_rows(read("rded_schedule.json"))
def test_schedule(record: dict[str, Any]) -> None:
    epochs, lr, settings = record["re_epochs"], record["base_lr"], RdedSettings()
    stride, bound = record["subsampled"], rounding(EXPONENTIAL + 5, torch.float64, largest=lr)
    found = [
        rded_rules.learning_rate(epoch + 1, epochs, lr, settings.schedule)
        for epoch in range(0, epochs, stride)
    ]
    assert found == pytest.approx(record["lr_per_epoch_cos"], rel=0, abs=bound)
    linear = record["linear_alternative_first5"]
    found = [rded_rules.learning_rate(epoch + 1, epochs, lr, "linear") for epoch in range(len(linear))]
    assert found == pytest.approx(linear, rel=0, abs=bound)
    validated = rded_rules.validated_epochs(epochs, settings.validation_period, settings.validation_start)
    # With up to five epochs the reference never validates; we validate the last.
    assert [epoch - 1 for epoch in validated] == (record["validated_epochs_0based"] or [epochs - 1])


def scaled_hash(text: str, shape: tuple[int, int]) -> torch.Tensor:
    """Return the values described as ``5*hash_u(.,800)``."""
    factor, key = text.removesuffix(")").split("*hash_u(.,")
    return torch.from_numpy(float(factor) * hashed(shape, int(key)))


@over_rows(family(FUNCTIONS, "kl"))
def test_loss(case: dict[str, Any]) -> None:
    for dtype in (torch.float64, torch.float32):
        check_loss(case, dtype)


def check_loss(case: dict[str, Any], dtype: torch.dtype) -> None:
    shape = case["N"], case["C"]
    # Two softmaxes and a sum over the classes, a mean over the batch; logarithms are below 1 + log C.
    bound = rounding(3 * case["C"] + case["N"] + 4 * EXPONENTIAL, dtype, largest=1 + numpy.log(case["C"]))
    student = scaled_hash(case["student"], shape).to(dtype).requires_grad_()
    teacher = scaled_hash(case["teacher"], shape).to(dtype)
    value = rded_training.loss(student, teacher, case["T"])
    value.backward()
    assert student.grad is not None
    assert value.item() == pytest.approx(case["loss"], rel=0, abs=bound)
    assert student.grad.norm().item() == pytest.approx(case["grad_l2"], rel=0, abs=bound)
    row = case["grad_row0"]
    assert student.grad[0, : len(row)].tolist() == pytest.approx(row, rel=0, abs=bound)


@over_rows(family(FUNCTIONS, "shuffle_patches"))
def test_patch_shuffle(case: dict[str, Any]) -> None:
    image = torch.from_numpy(picture(case["H"], case["W"], case["k"]))[None]
    columns, rows = (numpy.asarray([case[name]]) for name in ("column_perm", "row_perm"))
    found = shuffle(image, columns, rows, case["factor"])[0]
    numpy.testing.assert_array_equal(found, ARRAYS[case["key"]])


def built_px(subset: str, architecture: str) -> int:
    """Return the image side of the reference's network; its `conv` on ImageNet subsets differs (Q25)."""
    if architecture.startswith("conv"):
        return input_px(subset, "conv5", "conv5")
    return SUBSETS[subset].size_px


GROUPS: dict[str, Any] = read(FUNCTIONS).get("param_groups", {})


@over_rows(GROUPS)
def test_parameter_groups(name: str) -> None:
    architecture, subset, classes = name.split("|")
    expected = GROUPS[name]
    with torch.device("meta"):
        network = rded_networks.build(
            architecture, classes=int(classes), size_px=built_px(subset, architecture)
        )
    parameters = list(network.parameters())
    decayed, others = rded_training.parameter_groups(network)
    assert len(decayed) + len(others) == len(parameters)
    assert sum(parameter.numel() for parameter in parameters) == expected["n_params"]
    for part, title in ((decayed, "decay"), (others, "nodecay")):
        assert len(part) == expected[f"{title}_tensors"]
        assert sum(parameter.numel() for parameter in part) == expected[f"{title}_params"]
    assert list(parameters[-2].shape) == expected["last_weight_shape"]
    if expected["fc_out_features"] is not None:
        assert network.get_submodule("fc").out_features == expected["fc_out_features"]


def fill(network: nn.Module, scheme: str) -> nn.Module:
    """Set the weights of the student (``reg``) or of the teacher (``teacher``), as in the README."""
    for position, (name, parameter) in enumerate(network.named_parameters()):
        shape, is_scale = tuple(parameter.shape), name.endswith("weight")
        if scheme == "reg":
            values = weight("reg", position, shape, is_scale)
        elif len(shape) >= 2:
            values = numpy.sqrt(6 / numpy.prod(shape[1:])) * hashed(shape, 5000 + position)
        else:
            values = float(is_scale) + 0.1 * hashed(shape, 5000 + position)
        parameter.data.copy_(torch.from_numpy(values))
    return network


def described(text: str) -> nn.Module:
    """Build a network described as ``conv3 BN 32x32 nc10, ...``, in float64."""
    architecture, norm, side, classes = text.split(",")[0].split()
    assert norm == "BN" and classes.startswith("nc")
    size_px = int(side.split("x")[0])
    network = rded_networks.build(architecture, classes=int(classes[2:]), size_px=size_px)
    return network.double()


def distiller(case: dict[str, Any]) -> rded_training.Distiller:
    student = fill(described(case["student"]), "reg")
    teacher = fill(described("conv3 BN 32x32 nc10"), "teacher").eval()
    settings = RdedSettings(size_px=32)
    decayed, others = rded_training.parameter_groups(student)
    groups = (AdamW(decayed, 0.001, settings.weight_decay), AdamW(others, 0.001, 0.0))
    return rded_training.Distiller(
        student,
        teacher,
        Grouped(*groups),
        temperature=case["T"],
        accumulation=case["accum"],
        twice=case["mix_type"] == "cutmix",
    )


@pytest.mark.parametrize("case", cases("train_steps"))
def test_training_steps(case: dict[str, Any]) -> None:
    trained = distiller(case)
    assert case["teacher"].startswith("conv3 BN") and case["input_k"] == "4000+batch"
    for number, (count, expected) in enumerate(zip(case["batch_sizes"], case["steps"], strict=True)):
        images = torch.from_numpy(network_input((count, 3, 32, 32), 4000 + number))
        check_step(trained, number, images, case, expected)
    student = trained.student
    bound = trained_within(student, len(case["steps"]))
    norms = {name: parameter.norm().item() for name, parameter in student.named_parameters()}
    assert norms == pytest.approx(case["final_param_l2"], rel=bound, abs=bound)
    state = student.state_dict()
    buffers = {name: state[name].double().norm().item() for name in state if name not in norms}
    assert buffers == pytest.approx(case["final_buffers_l2"], rel=bound, abs=bound)
    with torch.inference_mode():
        final = student.eval()(torch.from_numpy(network_input((4, 3, 32, 32), 4999)))
    expected_logits = torch.from_numpy(ARRAYS[f"{case['name']}/final_logits"])
    torch.testing.assert_close(final, expected_logits, rtol=bound, atol=bound)


def trained_within(student: nn.Module, steps: int) -> float:
    """Return a bound of rounding after ``steps``: the network and its gradient, about twice as deep.

    The gradient of a bias before a norm is only rounding, and Adam divides it by epsilon. A wrong step
    changes weights by the learning rate, 0.001.
    """
    within = rounding(3 * depth(student), torch.float64)
    return steps * (within + 0.001 * (0.01 * within) / 1e-8)


def check_step(
    trained: rded_training.Distiller,
    number: int,
    images: torch.Tensor,
    case: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    partners, lam = torch.tensor(expected["perm"]), expected["lam"]
    cutmix = case["mix_type"] == "cutmix"
    mix = Mix(partners, tuple(expected["bbox"]), lam) if cutmix else Blend(partners, lam)
    loss = trained.step(number, images, mix)
    bound = trained_within(trained.student, number + 1)
    assert loss.item() / case["accum"] == pytest.approx(expected["loss"], rel=bound, abs=bound)
    state = trained.student.state_dict()
    mean, variance = (state[f"layers.norm.0.running_{name}"].norm().item() for name in ("mean", "var"))
    assert mean == pytest.approx(expected["bn0_mean_l2"], rel=bound, abs=bound)
    assert variance == pytest.approx(expected["bn0_var_l2"], rel=bound, abs=bound)
    assert state["layers.norm.0.num_batches_tracked"] == expected["num_batches_tracked"]
    parameters = torch.cat([parameter.detach().flatten() for parameter in trained.student.parameters()])
    assert parameters.norm().item() == pytest.approx(
        expected["param_l2"], rel=bound + rounding(len(parameters), torch.float64)
    )


def test_every_array_belongs_to_a_case() -> None:
    found = {case["key"] for case in family(FUNCTIONS, "shuffle_patches")}
    found |= {f"{case['name']}/final_logits" for case in family(FUNCTIONS, "train_steps")}
    assert {name for name in ARRAYS if not name.startswith(SYNTHESIS)} == found
