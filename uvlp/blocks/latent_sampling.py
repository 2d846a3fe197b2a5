"""Sample of the VAE's posterior, scaled for the diffusion model (methods.md A.4, D.1)."""

from __future__ import annotations

import torch


def sample_posterior(
    mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor, scaling: float
) -> torch.Tensor:
    """(mean + std·noise)·scaling, all of one shape [B, 4, h, w]; the log-variance is clamped to ±(30, 20).

    Args:
        mean, log_variance: moments from the encoder.
        noise: standard normal.
        scaling: the VAE's scaling factor, 0.18215 for Stable Diffusion 1.5.
    """
    deviation = torch.exp(0.5 * torch.clamp(log_variance, -30.0, 20.0))
    return (mean + deviation * noise) * scaling
