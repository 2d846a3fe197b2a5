"""Tensors in one safetensors file with the hash of its content, so that a damaged file is never used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from uvlp.core.files.writing import complete_file
from uvlp.core.hashing import canonical_json


def save(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str]) -> None:
    """Write the tensors and ``facts`` atomically."""
    # safetensors does not support channels-last tensors.
    on_cpu = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    with complete_file(path) as unfinished:
        save_file(on_cpu, unfinished, {**facts, "sha256": _sha256(on_cpu, facts, path)})


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and facts that `save` wrote.

    Raises:
        SafetensorError: the file is damaged, belongs elsewhere, or has no hash.
    """
    with safe_open(path, framework="pt") as file:
        facts = file.metadata() or {}
        saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    sha256 = facts.pop("sha256", "")
    if sha256 != _sha256(saved, facts, path):
        raise SafetensorError("the content does not match its hash")
    return saved, facts


def _sha256(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, str], path: Path) -> str:
    """Hash CPU tensors with their names, dtypes and shapes, ``facts``, and the names of folder and file."""
    sha256 = hashlib.sha256(canonical_json([path.parent.name, path.name, dict(facts)]).encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()
