"""The diffusion process of DiT: losses and ancestral sampling with learned variance (evaluation.md 5.1).

Ho et al. 2020, Nichol & Dhariwal 2021. diffusers' DDPMScheduler has the same process, but no variational
bound, float32 tables, and a different variance at the last step.

Legend: x_t latent after t noising steps, x_0 the clean latent; beta_t variance of the noise added by step t;
abar_t product of 1 − beta up to t; v the network's interpolation between the two log-variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from uvlp.core.square_roots import square_root

TRAINED_STEPS = 1000
FIRST_BETA, LAST_BETA = 1e-4, 0.02
GUIDED_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps of a process, least noise first; S of the trained 1000 steps.

    Attributes:
        timesteps: int64 [S], steps of the trained process, the network's input.
        betas: float64 [S], of the respaced steps.
        abar: float64 [S].
        abar_before: float64 [S], of the preceding step; 1 before the first.
        posterior_variance: float64 [S], of x_(t-1) given x_t and x_0; 0 at the first step.
    """

    timesteps: Tensor
    betas: Tensor
    abar: Tensor
    abar_before: Tensor
    posterior_variance: Tensor


def chain(steps: int = TRAINED_STEPS, device: str = "cpu") -> Chain:
    """A chain of ``steps`` (2 to 1000) evenly spaced steps of the trained process with linear betas."""
    assert 2 <= steps <= TRAINED_STEPS
    trained = numpy.cumprod(1 - numpy.linspace(FIRST_BETA, LAST_BETA, TRAINED_STEPS))
    timesteps = numpy.linspace(0, TRAINED_STEPS - 1, steps).round().astype(numpy.int64)
    abar = trained[timesteps]
    before = numpy.append(1.0, abar[:-1])
    betas = 1 - abar / before
    tables = timesteps, betas, abar, before, betas * (1 - before) / (1 - abar)
    return Chain(*(torch.from_numpy(table).to(device) for table in tables))


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Independent normal distributions [N,C,h,w]."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Sample with standard normal ``noise``."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


@dataclass(frozen=True, slots=True)
class Losses:
    """The training losses per image; the published loss is mean(mse + bound).

    Attributes:
        mse: [N], of the predicted noise.
        bound: [N], variational bound of the step in bits per value; its gradient only reaches the variance.
        predicted: [N,C,h,w], predicted x_0, with gradient.
    """

    mse: Tensor
    bound: Tensor
    predicted: Tensor


def noised(process: Chain, clean: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
    """x_t of x_0 ``clean`` [N,C,h,w] at ``steps``, int64 [N] indices into the chain."""
    abar = process.abar[steps]
    return _as(square_root(abar), clean) * clean + _as(square_root(1 - abar), clean) * noise


def predicted_clean(process: Chain, noisy: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
    """x_0 [N,C,h,w], given the ``noise`` in x_t ``noisy``."""
    abar = process.abar[steps]
    return _as(square_root(1 / abar), noisy) * noisy - _as(square_root(1 / abar - 1), noisy) * noise


def previous(process: Chain, output: Tensor, noisy: Tensor, steps: Tensor) -> Gaussian:
    """The network's distribution of x_(t-1) given x_t.

    Args:
        output: [N,2C,h,w], predicted noise, then v: −1 for the posterior's log-variance, 1 for log beta_t.
        noisy: [N,C,h,w], x_t.
        steps: int64 [N], t as indices into the chain.
    """
    noise, v = output.chunk(2, dim=1)
    least = _log_posterior_variance(process, steps, noisy)
    most = _as(process.betas[steps].log(), noisy)
    share = (v + 1) / 2
    clean = predicted_clean(process, noisy, steps, noise)
    return Gaussian(_posterior_mean(process, clean, noisy, steps), share * most + (1 - share) * least)


def sample_step(process: Chain, output: Tensor, noisy: Tensor, step: int, noise: Tensor) -> Tensor:
    """x_(t-1) [N,C,h,w] of the ancestral sampler, without clipping; the last step, 0, adds no noise.

    Args:
        output, noisy: as for `previous`.
        step: t, index into the chain.
        noise: standard normal [N,C,h,w].
    """
    steps = torch.full((len(noisy),), step, device=noisy.device)
    distribution = previous(process, output, noisy, steps)
    return distribution.sample(noise) if step else distribution.mean


def guided(labelled: Tensor, unlabelled: Tensor, scale: float) -> Tensor:
    """Network outputs [N,2C,h,w] under classifier-free guidance.

    As published, only the first three noise channels are guided; the rest is the labelled output.
    """
    first, null = labelled[:, :GUIDED_CHANNELS], unlabelled[:, :GUIDED_CHANNELS]
    return torch.cat((null + scale * (first - null), labelled[:, GUIDED_CHANNELS:]), dim=1)


def training_losses(process: Chain, output: Tensor, clean: Tensor, noise: Tensor, steps: Tensor) -> Losses:
    """Losses of the network's ``output`` [N,2C,h,w] for ``noised(process, clean, steps, noise)``.

    Args:
        clean, noise: [N,C,h,w].
        steps: int64 [N], indices into the chain.
    """
    noisy = noised(process, clean, steps, noise)
    predicted_noise, v = output.chunk(2, dim=1)
    frozen = torch.cat((predicted_noise.detach(), v), dim=1)
    return Losses(
        mse=(noise - predicted_noise).square().flatten(1).mean(1),
        bound=_bound(process, frozen, clean, noisy, steps),
        predicted=predicted_clean(process, noisy, steps, predicted_noise),
    )


def _bound(process: Chain, output: Tensor, clean: Tensor, noisy: Tensor, steps: Tensor) -> Tensor:
    """KL of the posterior from the network's distribution; at step 0 the negative log-likelihood; bits."""
    learned = previous(process, output, noisy, steps)
    posterior = Gaussian(
        _posterior_mean(process, clean, noisy, steps), _log_posterior_variance(process, steps, noisy)
    )
    first = (steps == 0)[:, None, None, None]
    nats = torch.where(first, -_log_likelihood(learned, clean), _divergence(posterior, learned))
    return nats.flatten(1).mean(1) / math.log(2)


def _posterior_mean(process: Chain, clean: Tensor, noisy: Tensor, steps: Tensor) -> Tensor:
    beta, abar, before = process.betas[steps], process.abar[steps], process.abar_before[steps]
    of_clean = beta * square_root(before) / (1 - abar)
    of_noisy = (1 - before) * square_root(1 - beta) / (1 - abar)
    return _as(of_clean, noisy) * clean + _as(of_noisy, noisy) * noisy


def _log_posterior_variance(process: Chain, steps: Tensor, like: Tensor) -> Tensor:
    # The first step's variance is 0; the reference uses the second's instead.
    return _as(process.posterior_variance[steps.clamp(min=1)].log(), like)


def _divergence(posterior: Gaussian, learned: Gaussian) -> Tensor:
    difference = posterior.log_variance - learned.log_variance
    distance = (posterior.mean - learned.mean).square() * torch.exp(-learned.log_variance)
    return 0.5 * (difference.exp() + distance - difference - 1)


def _log_likelihood(distribution: Gaussian, clean: Tensor) -> Tensor:
    """Log-likelihood of 8-bit values scaled to [−1,1]; the reference treats latents like them."""
    centred, inverse = clean - distribution.mean, torch.exp(-0.5 * distribution.log_variance)
    below = _normal_cdf(inverse * (centred - 1 / 255))
    upto = _normal_cdf(inverse * (centred + 1 / 255))
    inside = torch.where(clean > 0.999, 1 - below, upto - below)
    return torch.where(clean < -0.999, upto, inside).clamp(min=1e-12).log()


def _normal_cdf(x: Tensor) -> Tensor:
    # The published approximation; it differs from the error function by up to 2e-4.
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _as(values: Tensor, like: Tensor) -> Tensor:
    """Reshape and cast per-image float64 factors [N] to multiply ``like``.

    They are rounded to float32 for any dtype, as in the reference.
    """
    return values.float().to(like.dtype)[:, None, None, None]
