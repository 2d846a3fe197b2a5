"""Checkpoints of the fine-tuning: `checkpoint-<step>/` as accelerate writes it, the average, and hashes.

A checkpoint is written under another name and renamed when it is whole, so what a kill leaves is never
taken for one; `files.json` holds the hash of every file, so a damaged one is not taken either. It also
holds those of the pictures drawn so far, which only a training from before them draws again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from uvlp.core.files import sealed
from uvlp.core.files.lines import read_lines
from uvlp.core.files.writing import keep_folder
from uvlp.core.hashing import file_sha256

PREFIX = "checkpoint-"
HALF = "half-" + PREFIX
FILES, LOG, AVERAGE = "files.json", "log.jsonl", "average.safetensors"
PICTURES = "validation"


def free_of_processes(accelerator: Any) -> None:
    """Make checkpoints the same for every number of processes: a run may go on with more GPUs or fewer."""

    def plain_names(_: Any, weights: list[dict[str, torch.Tensor]], __: str) -> None:
        # accelerate copies what lies channels last: not in the GPU's memory, which may be full.
        weights[:] = [
            {name.removeprefix("module."): held.cpu() for name, held in one.items()} for one in weights
        ]

    def plain_models(models: list[Any], _: str) -> None:
        models[:] = [accelerator.unwrap_model(model) for model in models]

    accelerator.register_save_state_pre_hook(plain_names)
    accelerator.register_load_state_pre_hook(plain_models)


def save(accelerator: Any, average: Any, log: Sequence[str], step: int, folder: Path, limit: int) -> None:
    """Write `checkpoint-<step>` below ``folder``; never more than ``limit`` remain. For the main process.

    Args:
        average: diffusers' EMAModel, or None.
        log: lines of the log up to ``step``.

    Raises:
        OSError, SafetensorError, RuntimeError: the disk is full.
    """
    from safetensors.torch import save_file

    _remove(_found(folder)[max(1, limit - 1) :])  # one stays while the next is written
    half, whole = folder / f"{HALF}{step}", folder / f"{PREFIX}{step}"
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(whole, ignore_errors=True)
    half.mkdir(parents=True)
    accelerator.save_state(str(half))
    if average is not None:
        # safetensors takes no tensor whose memory is laid out channels last.
        shadows = enumerate(average.shadow_params)
        held = {f"{index:05d}": tensor.cpu().contiguous() for index, tensor in shadows}
        save_file(held, half / AVERAGE)
    (half / LOG).write_text("".join(log), encoding="utf-8")
    written = [*sorted(half.iterdir()), *sorted((folder / PICTURES).glob("*.png"))]
    hashes = {os.path.relpath(path, half): file_sha256(path) for path in written}
    sealed.write(half / FILES, _of(whole), hashes)
    keep_folder(half, whole)
    _remove(_found(folder)[limit:])


def _found(folder: Path) -> list[Path]:
    """The checkpoints, the latest first."""
    found = [path for path in folder.glob(f"{PREFIX}*") if path.name[len(PREFIX) :].isdigit()]
    return sorted(found, key=_step, reverse=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name[len(PREFIX) :])


def _of(checkpoint: Path) -> str:
    return f"{checkpoint.parent.name}/{checkpoint.name}"


def _remove(checkpoints: Sequence[Path]) -> None:
    for path in checkpoints:
        (path / FILES).unlink(missing_ok=True)  # first, so that a half-deleted one is never taken
        shutil.rmtree(path, ignore_errors=True)


def latest(folder: Path, log: Callable[[str], None]) -> tuple[Path | None, int]:
    """The latest whole checkpoint and its step; damaged ones are said and deleted, so are halves."""
    for half in folder.glob(f"{HALF}*"):
        shutil.rmtree(half, ignore_errors=True)
    for checkpoint in _found(folder):
        damaged = _damage(checkpoint)
        if damaged is None:
            return checkpoint, _step(checkpoint)
        log(f"{checkpoint.name} is damaged ({damaged}): going on from the one before")
        _remove([checkpoint])
    return None, 0


def _damage(checkpoint: Path) -> str | None:
    """Name of the first file that is missing or not as written."""
    hashes = sealed.read(checkpoint / FILES, _of(checkpoint))
    if not isinstance(hashes, dict):
        return FILES
    for name, sha256 in hashes.items():
        path = checkpoint / name
        if not path.is_file() or file_sha256(path) != sha256:
            return name
    return None


def load(accelerator: Any, average: Any, checkpoint: Path, step: int) -> list[str]:
    """Take up a whole checkpoint, on every process; the lines of its log."""
    from safetensors.torch import load_file

    accelerator.load_state(str(checkpoint))
    if average is not None:
        held = load_file(checkpoint / AVERAGE)
        with torch.no_grad():
            for index, tensor in enumerate(average.shadow_params):
                tensor.copy_(held[f"{index:05d}"])
        average.optimization_step = step
    return [f"{line}\n" for line in read_lines(checkpoint / LOG)]
