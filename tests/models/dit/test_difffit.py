"""DiffFit with Minimax's criteria: what is trained, one update, reproducible and resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.tolerances import rounding
from uvlp.core.progress import Event, Progress
from uvlp.models.dit import criteria, difffit, diffusion, transformer
from uvlp.models.training import one_cycle
from uvlp.models.training.training_state import TrainingState
from uvlp.recipes.dit import DiffFitSettings, TransformerSettings

SETTINGS = DiffFitSettings(epochs=1, batch=4, ema=0.5, memory=3)
CLASSES = [index % 3 for index in range(12)]
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def model(models: Path, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dit") / "model"
    settings = TransformerSettings(depth=2, width=16, heads=2, steps=2, batch=4)
    transformer.train(images, CLASSES, 3, models / "autoencoder", settings, 0, folder, Progress())
    return folder


def train(
    model: Path,
    images: np.ndarray,
    folder: Path,
    seed: int = 0,
    settings: DiffFitSettings = SETTINGS,
    send: Callable[[Event], None] = lambda event: None,
) -> dict[str, str]:
    """Fine-tune in ``folder``, with checkpoints beside it; return the hashes of the files."""
    partial = folder.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    given = difffit.Images(read=lambda rows: images[list(rows)], classes=CLASSES, labels=range(3))
    difffit.train(given, model, settings, seed, folder, Progress(send), partial)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_equal_seeds_give_equal_bytes(model: Path, images: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(123)  # the global state must not matter
    first = train(model, images, tmp_path / "first")
    torch.manual_seed(4)
    assert train(model, images, tmp_path / "again") == first
    other = train(model, images, tmp_path / "other", seed=1)
    assert {name for name in first if other[name] != first[name]} == {WEIGHTS}


def test_a_killed_training_resumes_with_the_same_bytes(
    model: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third step reads the memories of the first two."""
    expected = train(model, images, tmp_path / "whole")
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    steps: list[Tensor] = []

    def killed(*given: Tensor) -> diffusion.Losses:
        steps.append(given[0])
        if len(steps) == 3:
            raise KeyboardInterrupt
        return losses(*given)  # type: ignore[arg-type]

    losses = diffusion.training_losses
    with monkeypatch.context() as patched:
        patched.setattr(diffusion, "training_losses", killed)
        with pytest.raises(KeyboardInterrupt):
            train(model, images, tmp_path / "resumed")
    messages: list[str] = []
    assert train(model, images, tmp_path / "resumed", send=lambda e: messages.append(e.message)) == expected
    assert "resuming after step 2 of 3" in messages


def test_only_biases_labels_and_scaled_layers_change(model: Path, images: np.ndarray, tmp_path: Path) -> None:
    train(model, images, tmp_path / "made")
    before, after = load_file(model / WEIGHTS), load_file(tmp_path / "made" / WEIGHTS)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    second = "transformer_blocks.1."
    weights = {name for name in changed if name.endswith("weight") and name.startswith(second)}
    assert all("class_embedder" in name for name in weights), "the scales are in the first half of the blocks"
    assert f"{second}attn1.to_out.0.bias" in changed and "pos_embed.proj.weight" not in changed
    assert "transformer_blocks.0.attn1.to_q.weight" in changed, "the merged scale"


def test_the_loss_is_that_of_minimax(
    model: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[tuple[np.ndarray, np.ndarray, list[int]]] = []
    parts: list[float] = []
    total: list[float] = []

    def recorded(clean: Tensor, predicted: Tensor, classes: Tensor, *memories: criteria.Memory) -> object:
        real, made = (each.detach().double().flatten(1).numpy() for each in (clean, predicted))
        batches.append((real, made, classes.tolist()))
        return criteria.criteria(clean, predicted, classes, *memories)

    def losses(*given: Tensor) -> diffusion.Losses:
        found = diffused(*given)  # type: ignore[arg-type]
        parts.append((found.mse + found.bound).mean().item())
        return found

    def descend(state: TrainingState, loss: Tensor, *rest: float) -> None:
        total.append(loss.item())
        descended(state, loss, *rest)

    diffused, descended = diffusion.training_losses, one_cycle._descend
    monkeypatch.setattr(difffit, "criteria", recorded)
    monkeypatch.setattr(diffusion, "training_losses", losses)
    monkeypatch.setattr(one_cycle, "_descend", descend)
    train(model, images, tmp_path / "made")
    memory: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = {c: ([], []) for c in range(3)}
    for (clean, predicted, classes), diffusion_loss, found in zip(batches, parts, total, strict=True):
        expected = diffusion_loss + minimax_terms(clean, predicted, classes, memory)
        # Cosines of 1,024 values in float32 beside float64, on a loss of a few units.
        assert found == pytest.approx(expected, abs=rounding(1024 + 20, largest=max(1.0, abs(expected))))


def minimax_terms(
    clean: np.ndarray,
    predicted: np.ndarray,
    classes: list[int],
    memory: dict[int, tuple[list[np.ndarray], list[np.ndarray]]],
) -> float:
    """The two criteria of evaluation.md 5.1, whose batch is then remembered."""
    term, present = 0.0, sorted(set(classes))
    for c in present:
        rows = [row for row, own in enumerate(classes) if own == c]
        real, generated = memory[c]
        if real:
            cosines = [
                [x @ m / np.linalg.norm(x) / np.linalg.norm(m) for x in predicted[rows] for m in stored]
                for stored in (real, generated)
            ]
            term += 0.002 / len(present) * (1 - min(cosines[0])) + 0.008 / len(present) * max(cosines[1])
        real.extend(clean[rows])
        generated.extend(predicted[rows])
        del real[:-3], generated[:-3]  # the size of the memory
    return term


def test_one_update_is_that_of_adamw_without_decay(
    model: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def descend(state: TrainingState, *rest: float) -> None:
        before = {n: p.detach().double().clone() for n, p in state.model.named_parameters()}
        descended(state, *rest)  # type: ignore[arg-type]
        for name, parameter in state.model.named_parameters():
            expected = before[name]
            if parameter.grad is not None:
                gradient = parameter.grad.double()
                expected = expected - 1e-3 * gradient / (gradient.abs() + 1e-8)
                updated.append(name)
            bound = rounding(8, largest=max(1.0, expected.abs().max().item()))
            torch.testing.assert_close(parameter.detach().double(), expected, rtol=0, atol=bound)

    updated: list[str] = []
    descended = one_cycle._descend
    monkeypatch.setattr(one_cycle, "_descend", descend)
    train(model, images, tmp_path / "made", settings=replace(SETTINGS, steps=1))
    kinds = {name.rpartition(".")[2] for name in updated}
    assert kinds == {"bias", "gamma1", "gamma2", "weight"}
    assert [name for name in updated if name.endswith("weight")] == [
        "network.y_embedder.embedding_table.weight"
    ]
