"""Losses on mixed images; Mixup: the formula, and the distribution of its draws."""

from __future__ import annotations

import numpy
import pytest
import torch

from uvlp.protocols.training import mixing


def test_mixup_blends_images_with_their_partners() -> None:
    images = torch.arange(24.0).reshape(2, 3, 2, 2)
    before = images.clone()
    found = mixing.blended(images, mixing.Blend(torch.tensor([1, 0]), 0.75))
    torch.testing.assert_close(found[0], 0.75 * before[0] + 0.25 * before[1])
    assert torch.equal(images, before)


def test_distribution_of_shares_and_partners() -> None:
    generator = numpy.random.default_rng(0)
    blends = [mixing.draw_mixup(generator, 4, 0.8) for _ in range(10_000)]
    shares = numpy.asarray([blend.lam for blend in blends])
    deviation = numpy.sqrt(0.25 / (2 * 0.8 + 1))  # of Beta(0.8, 0.8)
    assert shares.mean() == pytest.approx(0.5, abs=5 * deviation / 100)
    assert shares.std() == pytest.approx(deviation, abs=0.005)
    partners = numpy.stack([blend.permutation.numpy() for blend in blends])
    assert (numpy.sort(partners, axis=1) == numpy.arange(4)).all()
    frequencies = numpy.stack([(partners == image).mean(0) for image in range(4)])
    numpy.testing.assert_allclose(frequencies, 0.25, atol=0.022)


def test_soft_labels_have_the_gradient_of_the_divergence_at_their_temperature() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.softmax(torch.randn(4, 5, generator=generator), 1)
    logits = torch.randn(4, 5, generator=generator, requires_grad=True)
    mix = mixing.Mix(torch.tensor([1, 0, 3, 2]), (0, 0, 1, 1), 0.7)
    (found,) = torch.autograd.grad(mixing.cutmix_loss(logits, labels, mix, 3.0), logits)
    log_p = torch.log_softmax(logits / 3.0, 1)
    own, partner = (
        torch.nn.functional.kl_div(log_p, each, reduction="batchmean")
        for each in (labels, labels[mix.permutation])
    )
    (expected,) = torch.autograd.grad(0.7 * own + 0.3 * partner, logits)
    torch.testing.assert_close(found, expected)


def test_certain_soft_labels_are_class_indices() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, 0, 2, 2])
    certain = torch.nn.functional.one_hot(labels, 5).float()
    torch.testing.assert_close(
        mixing.cutmix_loss(logits, certain, None), mixing.cutmix_loss(logits, labels, None)
    )
