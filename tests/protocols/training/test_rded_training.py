"""The step of the RDED protocol against the reference's, written with torch.optim and two passes."""

from __future__ import annotations

import copy

import numpy
import pytest
import torch
from torch import nn

from tests.tolerances import EXPONENTIAL, depth, rounding
from uvlp.networks import convnet
from uvlp.protocols.training import mixing, rded_training
from uvlp.protocols.training.optimisers import AdamW, Grouped, Sgd


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return convnet.build(2, classes=5, size_px=8, norm="batch", width=6).double()


def batches() -> list[torch.Tensor]:
    generator = numpy.random.default_rng(0)
    return [torch.from_numpy(generator.normal(size=(count, 3, 8, 8))) for count in (5, 5, 3, 5, 5)]


def mixes(kind: str) -> list[mixing.Mix | mixing.Blend]:
    generator = numpy.random.default_rng(1)
    if kind == "mixup":
        return [mixing.draw_mixup(generator, len(images), 0.8) for images in batches()]
    drawn = [mixing.draw_cutmix(generator, len(images), 8, 1.0) for images in batches()]
    return [mix for mix in drawn if mix is not None]


def reference(student: nn.Module, teacher: nn.Module, kind: str, optimiser: str, parts: int) -> list[float]:
    """Run the published loop: a pass for the log, the teacher, and the pass with gradients."""
    decayed, others = rded_training.parameter_groups(student)
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    steps: torch.optim.Optimizer = (
        torch.optim.AdamW(groups, lr=0.001)
        if optimiser == "adamw"
        else torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    )
    losses = []
    student.train()
    for number, (images, mix) in enumerate(zip(batches(), mixes(kind), strict=True)):
        if number % parts == 0:
            steps.zero_grad()
        if isinstance(mix, mixing.Mix):
            images = mixed = mixing.mix_(images, mix)
        else:
            mixed = mix.lam * images + (1 - mix.lam) * images[mix.permutation]
        with torch.no_grad():
            student(images)
            soft = torch.softmax(teacher(mixed) / 20, 1)
        predicted = torch.log_softmax(student(mixed) / 20, 1)
        loss = nn.KLDivLoss(reduction="batchmean")(predicted, soft) / parts
        loss.backward()
        losses.append(parts * loss.item())
        if number % parts == parts - 1:
            steps.step()
    return losses


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_steps_agree_with_the_reference(kind: str, optimiser: str, parts: int) -> None:
    student, teacher = network(0), network(1).eval()
    copied = copy.deepcopy(student)
    expected = reference(copied, teacher, kind, optimiser, parts)
    decayed, others = rded_training.parameter_groups(student)
    groups = (
        (AdamW(decayed, 0.001, 0.01), AdamW(others, 0.001, 0.0))
        if optimiser == "adamw"
        else (Sgd(part, 0.1, 0.9, decay) for part, decay in ((decayed, 0.01), (others, 0)))
    )
    distiller = rded_training.Distiller(
        student, teacher, Grouped(*groups), temperature=20, accumulation=parts, twice=kind == "cutmix"
    )
    found = [
        distiller.step(number, *pair).item()
        for number, pair in enumerate(zip(batches(), mixes(kind), strict=True))
    ]
    # Five steps of the network and of its gradient, about twice as deep, on values up to four.
    bound = rounding(5 * 3 * depth(student), torch.float64, largest=4.0)
    assert found == pytest.approx(expected, rel=0, abs=bound)
    if optimiser == "adamw":  # the gradient of a bias before a norm is only rounding, divided by epsilon
        bound += 5 * 0.001 * rounding(depth(student), torch.float64, largest=0.01) / 1e-8
    for name, value in student.state_dict().items():
        torch.testing.assert_close(value, copied.state_dict()[name], rtol=0, atol=bound, msg=name)


def test_a_perfect_student_has_no_loss() -> None:
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    assert rded_training.loss(logits + 3, logits, 20).item() == pytest.approx(
        0, abs=rounding(7 + 3 * EXPONENTIAL, largest=20.0)
    )


def test_the_learning_rate_is_set_for_every_group() -> None:
    decayed, others = rded_training.parameter_groups(network(0))
    groups = AdamW(decayed, 0.001, 0.01), AdamW(others, 0.001, 0.0)
    optimiser = Grouped(*groups)
    optimiser.lr = 0.5
    assert [group.lr for group in groups] == [0.5, 0.5] and optimiser.lr == 0.5
