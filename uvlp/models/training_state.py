"""Everything that a training loop needs to resume where it was interrupted, in one safetensors file.

The file holds the hash of what it holds, so that what was damaged since is never trained on. Part of the
state is the running average of a model's weights, which is saved instead of the last ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from uvlp.core.files.writing import complete_file
from uvlp.core.hashing import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """The parts of a training loop that change with its steps.

    Attributes:
        model: with its buffers.
        optimiser: AdamW over the model's parameters.
        scaler: of the loss; does nothing outside float16.
        generator: what batches and noise are drawn from, on the CPU.
        average: of the weights, where there is one.
    """

    model: torch.nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    average: Average | None

    def save(self, path: Path, step: int) -> None:
        """Write the state after ``step``; the file is there whole or not at all."""
        facts = {"step": str(step), "scaler": json.dumps(self.scaler.state_dict())}
        # safetensors takes no tensor whose memory is laid out channels last.
        tensors = {name: held.contiguous().cpu() for name, held in self._tensors().items()}
        with complete_file(path) as unfinished:
            save_file(tensors, unfinished, facts | {"sha256": _sha256(tensors, facts, path)})

    def load(self, path: Path) -> int:
        """Take over the state that `save` wrote and return its step.

        Raises:
            SafetensorError: the file is damaged, belongs to another training, or has no hash; nothing was
                taken over.
        """
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sha256 = facts.pop("sha256", "")
        if sha256 != _sha256(found, facts, path):
            raise SafetensorError("not as it was written")
        self._load_optimiser(found)
        for name, held in self._tensors().items():
            if name.startswith(("model.", "average.")):
                held.copy_(found[name])
        self.generator.set_state(found["generator"])
        self.scaler.load_state_dict(json.loads(facts["scaler"]))
        return int(facts["step"])

    def _tensors(self) -> dict[str, torch.Tensor]:
        """The live tensors by name; the generator's state is a copy."""
        tensors = {f"model.{name}": held.detach() for name, held in self.model.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": held for name, held in state.items()}
        if self.average is not None:
            tensors |= {f"average.{index}": held for index, held in enumerate(self.average.weights)}
        return tensors | {"generator": self.generator.get_state()}

    def _load_optimiser(self, found: dict[str, torch.Tensor]) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for index, parameter in enumerate(self.model.parameters()):
            prefix = f"optimiser.{index}."
            own = {name.removeprefix(prefix): held for name, held in found.items() if name.startswith(prefix)}
            # A moment has to lie in memory as its parameter does: AdamW goes through both as they lie.
            state[index] = {
                name: torch.empty_like(parameter).copy_(held) if held.shape == parameter.shape else held
                for name, held in own.items()
            }
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})


def _sha256(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str], path: Path) -> str:
    """Hash of tensors on the CPU with names, types and shapes, of facts, and of the training's own names."""
    found = hashlib.sha256(canonical_json([path.parent.name, path.name, dict(facts)]).encode())
    for name, held in sorted(tensors.items()):
        found.update(f"\n{name} {held.dtype} {tuple(held.shape)}\n".encode())
        found.update(held.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


class Average:
    """Exponential moving average of parameters, warmed up: step n decays by at most (1 + n) / (10 + n)."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self._parameters: list[torch.Tensor] = list(parameters)
        self._decay = decay
        self.weights = [parameter.detach().clone() for parameter in self._parameters]

    def update(self, step: int) -> None:
        """Take in the parameters after ``step``, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, [parameter.detach() for parameter in self._parameters], 1 - decay)

    @torch.no_grad()
    def use(self) -> None:
        """Give the parameters the averaged values."""
        torch._foreach_copy_(self._parameters, self.weights)
