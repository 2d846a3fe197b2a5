"""Distribution matching through a generative prior (evaluation.md 5; Cazenavette et al. 2023, GLaD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from uvlp.core.progress import Progress
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.distribution_matching import MatchingSettings, MeanMatching
from uvlp.methods.algorithms.optimising.prior import CHUNK, Prior
from uvlp.protocols.training.augment import denormalise


class Settings(MatchingSettings, Protocol):
    """The settings that it reads, those of the method `glad`."""

    @property
    def iterations(self) -> int:
        """Updates of latents and features."""

    @property
    def lr_latents(self) -> float:
        """Learning rate of the latents."""

    @property
    def lr_features(self) -> float:
        """Learning rate of the features."""

    @property
    def momentum(self) -> float:
        """Momentum of SGD."""


class LatentMatching:
    """An `Optimisation` of the latents and features of a prior; see `MeanMatching` for the loss.

    The gradient at the images is computed first, without the prior, and then passed back through it in
    chunks, as published: the memory does not grow with the number of images.

    Args:
        inputs, settings, network, progress: see `MeanMatching`.
        prior: at its first latents and features.
    """

    def __init__(
        self, inputs: MethodInput, settings: Settings, network: str, prior: Prior, progress: Progress
    ) -> None:
        self._matching = MeanMatching(inputs, settings, network, "glad", progress)
        self._settings, self.iterations, self.meter = settings, settings.iterations, self._matching.meter
        self.fix = (
            f"lower the learning rates: --set glad.lr_latents={settings.lr_latents / 4:g} "
            f"--set glad.lr_features={settings.lr_features / 4:g}"
        )
        self._prior = prior
        latents = prior.latents(inputs)
        self._leaves = {"latents": latents, "features": prior.features(latents)}
        self._momentum = {name: torch.zeros_like(leaf) for name, leaf in self._leaves.items()}

    def step(self, iteration: int) -> Tensor:
        """Update latents and features by SGD."""
        with self.meter.network(len(self._leaves["latents"])):
            images = self._render()
        loss, gradient = self._matching.gradient(images, iteration)
        gradients = self._through_the_prior(gradient)
        rates = {"latents": self._settings.lr_latents, "features": self._settings.lr_features}
        for name, leaf in self._leaves.items():
            self._momentum[name].mul_(self._settings.momentum).add_(gradients[name])
            leaf.sub_(self._momentum[name], alpha=rates[name])
        return loss

    @torch.no_grad()
    def _render(self) -> Tensor:
        parts = zip(*(leaf.split(CHUNK) for leaf in self._leaves.values()), strict=True)
        return torch.cat([self._prior.render(latents, features) for latents, features in parts])

    def _through_the_prior(self, gradient: Tensor) -> dict[str, Tensor]:
        """Return the gradients of the leaves, given that of the images."""
        parts: dict[str, list[Tensor]] = {name: [] for name in self._leaves}
        for rows in torch.arange(len(gradient), device=gradient.device).split(CHUNK):
            leaves = {name: leaf[rows].requires_grad_() for name, leaf in self._leaves.items()}
            with self.meter.network(len(rows)):
                images = self._prior.render(leaves["latents"], leaves["features"])
                own = torch.autograd.grad(images, list(leaves.values()), gradient[rows])
            for name, each in zip(leaves, own, strict=True):
                parts[name].append(each)
        return {name: torch.cat(each) for name, each in parts.items()}

    def state(self) -> dict[str, Tensor]:
        """Return latents, features and their momentum."""
        return {**self._leaves, **{f"momentum.{name}": value for name, value in self._momentum.items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        for name, leaf in self._leaves.items():
            leaf.copy_(state[name])
            self._momentum[name].copy_(state[f"momentum.{name}"])

    def images(self) -> Tensor:
        """Return the images, unclipped."""
        return denormalise(self._render())
