"""Gradient matching (Zhao et al. 2021; as in IDC, Kim et al. 2022, equation 3 with the l1 distance).

Legend: R, S, real and synthetic images of a class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda difference: difference.abs().sum(),
    "mse": lambda difference: difference.square().sum(),
}
"""Distances by their names in the published code, whose `mse` is a sum too."""


def convolution_weights(network: nn.Module) -> list[Tensor]:
    """Return the weights of the convolutions: IDC matches no biases, normalisations or classifiers."""
    return [parameter for parameter in network.parameters() if parameter.dim() > 2]


def matching_loss(network: nn.Module, real: Tensor, synthetic: Tensor, label: int, distance: str) -> Tensor:
    """Sum over the convolutions of the distance between the gradients of the mean cross-entropy, a scalar.

    Args:
        network: its weights require gradients, but their ``grad`` is not changed.
        real: images of the class, normalised [R,3,H,W]; their gradient is the target.
        synthetic: images of the class, normalised [S,3,H,W]; only they receive a gradient.
        label: index of the class.
        distance: name in `DISTANCES`.
    """
    weights = convolution_weights(network)
    target = torch.autograd.grad(_loss(network, real.detach(), label), weights)
    own = torch.autograd.grad(_loss(network, synthetic, label), weights, create_graph=True)
    measure = DISTANCES[distance]
    return torch.stack([measure(ours - theirs) for ours, theirs in zip(own, target, strict=True)]).sum()


def _loss(network: nn.Module, images: Tensor, label: int) -> Tensor:
    return cross_entropy(network(images), torch.full((len(images),), label, device=images.device))


@torch.no_grad()
def descend_(
    pixels: Tensor, velocity: Tensor, gradient: Tensor, rows: slice | Tensor, *, lr: float, momentum: float
) -> None:
    """Update the images of a class, in place; those of other classes move on by their momentum.

    v <- momentum v + g; pixels <- pixels - lr v, with g = 0 for all other images, as in the published code.

    Args:
        pixels, velocity: of all classes [N,3,S,S].
        gradient: [n,3,S,S] of the images at ``rows``.
        rows: n rows of ``pixels``.
        lr, momentum: learning rate and momentum.
    """
    velocity.mul_(momentum)
    velocity[rows] += gradient
    pixels.sub_(velocity, alpha=lr)
