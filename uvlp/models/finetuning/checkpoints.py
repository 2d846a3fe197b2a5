"""Checkpoints of the fine-tuning: `checkpoint-<step>/` as written by accelerate, the average, and hashes.

A checkpoint is written under a temporary name and renamed when complete, so an interrupted one is never
loaded; `files.json` contains the hash of every file, so a damaged one is never loaded either. It also
contains the hashes of the validation pictures drawn so far, because a resumed training does not draw
them again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from uvlp.core.files import sealed
from uvlp.core.files.lines import read_lines
from uvlp.core.files.sharing import umask
from uvlp.core.files.writing import keep_folder
from uvlp.core.hashing import file_sha256

PREFIX = "checkpoint-"
PARTIAL = "half-" + PREFIX
FILES, LOG, AVERAGE = "files.json", "log.jsonl", "average.safetensors"
PICTURES = "validation"


def free_of_processes(accelerator: Any) -> None:
    """Make checkpoints independent of the number of processes: a run may resume with more or fewer GPUs."""

    def plain_names(_: Any, weights: list[dict[str, torch.Tensor]], __: str) -> None:
        # accelerate copies channels-last tensors: copy them on the CPU, as the GPU's memory may be full.
        weights[:] = [
            {name.removeprefix("module."): tensor.cpu() for name, tensor in state.items()}
            for state in weights
        ]

    def plain_models(models: list[Any], _: str) -> None:
        models[:] = [accelerator.unwrap_model(model) for model in models]

    accelerator.register_save_state_pre_hook(plain_names)
    accelerator.register_load_state_pre_hook(plain_models)


def save(accelerator: Any, average: Any, log: Sequence[str], step: int, folder: Path, limit: int) -> None:
    """Write `checkpoint-<step>` below ``folder`` and keep at most ``limit``. For the main process.

    Args:
        average: diffusers' EMAModel, or None.
        log: lines of the log up to ``step``.

    Raises:
        OSError, SafetensorError, RuntimeError: the disk is full.
    """
    from safetensors.torch import save_file

    _remove(_checkpoints(folder)[max(1, limit - 1) :])  # keep one while the next is written
    complete = folder / f"{PREFIX}{step}"
    shutil.rmtree(complete, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder, prefix=f"{PARTIAL}{step}-"))
    partial.chmod(0o777 & ~umask())  # mkdtemp creates private folders; a store may be shared
    accelerator.save_state(str(partial))
    if average is not None:
        # safetensors does not support channels-last tensors.
        shadows = enumerate(average.shadow_params)
        tensors = {f"{index:05d}": tensor.cpu().contiguous() for index, tensor in shadows}
        save_file(tensors, partial / AVERAGE)
    (partial / LOG).write_text("".join(log), encoding="utf-8")
    written = [*sorted(partial.iterdir()), *sorted((folder / PICTURES).glob("*.png"))]
    hashes = {os.path.relpath(path, partial): file_sha256(path) for path in written}
    sealed.write(partial / FILES, _of(complete), hashes)
    try:
        keep_folder(partial, complete)
    except OSError:
        if not (complete / FILES).is_file():
            raise
        shutil.rmtree(partial, ignore_errors=True)  # another process took over and was here first
    _remove(_checkpoints(folder)[limit:])


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints, latest first."""
    folders = [path for path in folder.glob(f"{PREFIX}*") if path.name[len(PREFIX) :].isdigit()]
    return sorted(folders, key=_step, reverse=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name[len(PREFIX) :])


def _of(checkpoint: Path) -> str:
    return f"{checkpoint.parent.name}/{checkpoint.name}"


def _remove(checkpoints: Sequence[Path]) -> None:
    for path in checkpoints:
        (path / FILES).unlink(missing_ok=True)  # first, so that a partially deleted one is never loaded
        shutil.rmtree(path, ignore_errors=True)


def latest(folder: Path, log: Callable[[str], None]) -> tuple[Path | None, int]:
    """Return the latest intact checkpoint and its step; log and delete damaged ones, delete partial ones."""
    for partial in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(partial, ignore_errors=True)
    for checkpoint in _checkpoints(folder):
        damaged = _damage(checkpoint)
        if damaged is None:
            return checkpoint, _step(checkpoint)
        log(f"{checkpoint.name} is damaged ({damaged}): resuming from an earlier one")
        _remove([checkpoint])
    return None, 0


def _damage(checkpoint: Path) -> str | None:
    """Return the name of the first missing or changed file."""
    hashes = sealed.read(checkpoint / FILES, _of(checkpoint))
    if not isinstance(hashes, dict):
        return FILES
    for name, sha256 in hashes.items():
        path = checkpoint / name
        if not path.is_file() or file_sha256(path) != sha256:
            return name
    return None


def load(accelerator: Any, average: Any, checkpoint: Path, step: int) -> list[str]:
    """Load an intact checkpoint, in every process; return the lines of its log."""
    from safetensors.torch import load_file

    accelerator.load_state(str(checkpoint))
    if average is not None:
        saved = load_file(checkpoint / AVERAGE)
        with torch.no_grad():
            for index, tensor in enumerate(average.shadow_params):
                tensor.copy_(saved[f"{index:05d}"])
        average.optimization_step = step
    return [f"{line}\n" for line in read_lines(checkpoint / LOG)]
