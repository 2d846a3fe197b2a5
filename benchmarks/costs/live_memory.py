"""Bytes of tensors that are alive at once during a computation, on any device, ``meta`` included.

Workspaces of kernels and fragmentation of the allocator are not counted.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LivePeak(TorchDispatchMode):
    """Follows the memory of every tensor that operations make inside the block; ``peak`` in bytes.

    Args:
        known: existing tensors, such as a model's parameters; they do not count.
    """

    def __init__(self, *known: torch.nn.Module) -> None:
        super().__init__()
        tensors = [tensor for model in known for tensor in [*model.parameters(), *model.buffers()]]
        self._seen = {tensor.untyped_storage()._cdata for tensor in tensors}
        self._live = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor.untyped_storage())
        return made

    def _follow(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._live += storage.nbytes()
            self.peak = max(self.peak, self._live)
            weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._live -= size
