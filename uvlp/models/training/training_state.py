"""The state of a training loop in one safetensors file, from which it resumes after an interruption.

The file contains the hash of its content, so that a damaged file is never used. Part of the state is the
moving average of a model's weights, which is saved instead of the last weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from uvlp.models.training import sealed_tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """The parts of a training loop that change with every step.

    Attributes:
        model: including its buffers.
        optimiser: AdamW of the model's parameters.
        scaler: of the loss; inactive except in float16.
        generator: of batches and noise, on the CPU.
        average: of the weights, if any.
    """

    model: torch.nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    average: Average | None

    def save(self, path: Path, step: int) -> None:
        """Write the state after ``step`` atomically."""
        facts = {"step": str(step), "scaler": json.dumps(self.scaler.state_dict())}
        sealed_tensors.save(path, self._tensors(), facts)

    def load(self, path: Path) -> int:
        """Load the state that `save` wrote and return its step.

        Raises:
            SafetensorError: the file is damaged, belongs to another training, or has no hash; the state is
                unchanged.
        """
        saved, facts = sealed_tensors.load(path)
        self._load_optimiser(saved)
        for name, tensor in self._tensors().items():
            if name.startswith(("model.", "average.")):
                tensor.copy_(saved[name])
        self.generator.set_state(saved["generator"])
        self.scaler.load_state_dict(json.loads(facts["scaler"]))
        return int(facts["step"])

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the live tensors by name; the generator's state is a copy."""
        tensors = {f"model.{name}": tensor.detach() for name, tensor in self.model.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in state.items()}
        if self.average is not None:
            tensors |= {f"average.{index}": tensor for index, tensor in enumerate(self.average.weights)}
        return tensors | {"generator": self.generator.get_state()}

    def _load_optimiser(self, saved: dict[str, torch.Tensor]) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for index, parameter in enumerate(self.model.parameters()):
            prefix = f"optimiser.{index}."
            own = {name.removeprefix(prefix): each for name, each in saved.items() if name.startswith(prefix)}
            # The moments need the memory format of their parameter: the fused AdamW ignores strides.
            state[index] = {
                name: torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
                for name, tensor in own.items()
            }
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})


class Average:
    """Exponential moving average of parameters; warmed up, step n decays by at most (1 + n) / (10 + n)."""

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], decay: float, *, warm_up: bool = True
    ) -> None:
        self._parameters: list[torch.Tensor] = list(parameters)
        self._decay, self._warm_up = decay, warm_up
        self.weights = [parameter.detach().clone() for parameter in self._parameters]

    def update(self, step: int) -> None:
        """Update the average with the parameters after ``step``, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step)) if self._warm_up else self._decay
        torch._foreach_lerp_(self.weights, [parameter.detach() for parameter in self._parameters], 1 - decay)

    @torch.no_grad()
    def use(self) -> None:
        """Copy the averaged values to the parameters."""
        torch._foreach_copy_(self._parameters, self.weights)
