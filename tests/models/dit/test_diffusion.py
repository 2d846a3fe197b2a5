"""DiT's diffusion beyond the golden cases: guidance, gradients, denoising with the true noise."""

from __future__ import annotations

import torch

from tests.tolerances import rounding
from uvlp.models.dit import diffusion

SHAPE = (3, 4, 2, 2)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_three_channels_of_the_noise_are_guided() -> None:
    labelled, unlabelled = normal(2, 8, 2, 2, seed=1), normal(2, 8, 2, 2, seed=2)
    output = diffusion.guided(labelled, unlabelled, 4.0)
    torch.testing.assert_close(output[:, :3], 4 * labelled[:, :3] - 3 * unlabelled[:, :3])
    assert torch.equal(output[:, 3:], labelled[:, 3:])


def test_the_bound_only_trains_the_variance() -> None:
    process, steps = diffusion.chain(), torch.tensor([0, 7, 999])
    output = normal(3, 8, 2, 2, seed=3).requires_grad_()
    losses = diffusion.training_losses(process, output, normal(*SHAPE, seed=4), normal(*SHAPE, seed=5), steps)
    (of_bound,) = torch.autograd.grad(losses.bound.sum(), output, retain_graph=True)
    (of_mse,) = torch.autograd.grad(losses.mse.sum(), output, retain_graph=True)
    (of_predicted,) = torch.autograd.grad(losses.predicted.sum(), output)
    assert (of_bound[:, :4] == 0).all() and (of_bound[:, 4:] != 0).all()
    for gradient in (of_mse, of_predicted):
        assert (gradient[:, :4] != 0).all() and (gradient[:, 4:] == 0).all()


def test_denoising_with_the_true_noise_gives_the_clean_latent() -> None:
    process, clean, noise = diffusion.chain(50), normal(*SHAPE, seed=6), normal(*SHAPE, seed=7)
    noisy = diffusion.noised(process, clean, torch.tensor([49] * 3), noise)
    for step in reversed(range(50)):
        abar = process.abar[step]
        contained = (noisy - abar.sqrt() * clean) / (1 - abar).sqrt()
        output = torch.cat((contained, -torch.ones(SHAPE)), dim=1)
        noisy = diffusion.sample_step(process, output, noisy, step, normal(*SHAPE, seed=step))
    # The tables are float32, as in the reference: the last step uses four of them.
    bound = rounding(4, largest=clean.abs().max().item())
    torch.testing.assert_close(noisy, clean, rtol=0, atol=bound)


def test_float32_latents_stay_float32() -> None:
    process = diffusion.chain(2)
    output = torch.ones(1, 8, 2, 2)
    assert diffusion.sample_step(process, output, output[:, :4], 1, output[:, 4:]).dtype == torch.float32
