"""Memory and gradients of the minimax criteria; golden values: tests/protocols."""

from __future__ import annotations

import torch

from uvlp.models.dit.criteria import MEMORY, Memory, criteria


def test_the_memory_is_first_in_first_out() -> None:
    memory = Memory(2, 1, 3)
    rows = torch.arange(5.0)[:, None]
    memory.append(1, rows[:2])
    memory.append(1, rows[2:])
    kept = memory.of(1)
    assert kept is not None and kept.flatten().tolist() == [2, 3, 4]
    assert memory.of(0) is None and MEMORY == 64


def test_only_the_prediction_receives_gradients() -> None:
    real, generated = Memory(2, 4), Memory(2, 4)
    latents = torch.eye(4)[:, :, None]
    labels = torch.tensor([0, 1, 0, 1])
    first = criteria(latents, latents.clone().requires_grad_(), labels, real, generated)
    assert first.representativeness == 0 and first.diversity == 0
    predicted = (latents + 0.5).requires_grad_()
    result = criteria(latents, predicted, labels, real, generated)
    for term in (result.representativeness, result.diversity):
        (gradient,) = torch.autograd.grad(term, predicted, retain_graph=True)
        assert gradient.abs().sum() > 0
    kept = generated.of(0)
    assert kept is not None and kept.shape == (4, 4) and not kept.requires_grad
