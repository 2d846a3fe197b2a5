"""A simulated GPU: tensors that report a GPU as their device and are computed on the CPU.

It refuses what a GPU refuses: an operation on tensors of two devices (except for what CUDA allows: scalars,
indices, copies), and a random generator of another device. Only one thread sees the GPU.

Not simulated: available kernels, their rounding, streams, memory, and autocast's list of operations for CUDA
(the CPU's is used). Autograd works; `torch.Generator("cuda")` does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
aten = torch.ops.aten
COPIES = (aten.copy_.default, aten._to_copy.default, aten._foreach_copy_.default)
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default)
MEMORY = 100 * 2**30


class OnGpu(torch.Tensor):
    """A tensor on the simulated GPU; ``held`` is its CPU tensor."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGpu:
        tensor = torch.Tensor._make_subclass(cls, held, held.requires_grad)
        tensor.held = held
        return tensor

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.held})"

    def __format__(self, _: str) -> str:
        return repr(self)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _compute(func, args, kwargs or {})


class _Fetch(torch.autograd.Function):
    """Copies to the CPU, and gradients back to the GPU."""

    @staticmethod
    def forward(ctx: Any, tensor: OnGpu) -> torch.Tensor:
        return tensor.held.detach().clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> OnGpu:
        return OnGpu(gradient)


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute one operation on the CPU; results are on the device of a real GPU's results."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    gpu_tensors = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
    cpu_tensors = [tensor for tensor in tensors if not isinstance(tensor, OnGpu)]
    indexes = func in INDEXED and isinstance(args[0], OnGpu)
    if gpu_tensors and cpu_tensors and func not in COPIES and not indexes:
        assert all(tensor.ndim == 0 for tensor in cpu_tensors), f"{func} on tensors of two devices"
    device = kwargs.get("device")
    on_gpu = bool(gpu_tensors) or (device is not None and torch.device(device).type == "cuda")
    if func in COPIES[::2]:
        on_gpu = isinstance(tree_leaves(args[0])[0], OnGpu)
    stream = kwargs.get("generator")
    assert stream is None or (stream.device.type == "cuda") == on_gpu, f"{func} with another device's stream"
    kwargs |= {"device": CPU} if device is not None else {}
    kwargs |= {"pin_memory": False} if "pin_memory" in kwargs else {}
    bare_args, bare_kwargs = tree_map(lambda leaf: getattr(leaf, "held", leaf), (args, kwargs))
    result = func(*bare_args, **bare_kwargs)
    if not on_gpu:
        return result
    in_place = {id(tensor.held): tensor for tensor in gpu_tensors}

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return in_place[id(leaf)] if id(leaf) in in_place else OnGpu(leaf)

    return tree_map(wrap, result)


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled() and func.namespace == "aten" and func._can_decompose():
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return _compute(func, args, kwargs or {})


class _Moves(TorchFunctionMode):
    """Calls that would use the driver before they become an operation."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = tuple(map(_numbered, args))
        kwargs = {name: _numbered(value) for name, value in (kwargs or {}).items()}
        name = getattr(func, "__name__", "")
        if name == "pin_memory":
            return args[0]
        if name == "_has_compatible_shallow_copy_type":
            return False
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == GPU:
            del kwargs["device"]
            return func(*args, **kwargs).to(GPU)
        if name in ("to", "cpu") and isinstance(args[0], OnGpu) and _to_cpu(name, args[1:], kwargs):
            rest: Any = [each for each in args[1:] if isinstance(each, torch.dtype | torch.Tensor)]
            more: Any = {key: value for key, value in kwargs.items() if key != "device"}
            fetched = _fetched(args[0])
            return fetched.to(*rest, **more) if rest or more else fetched
        if name == "to" and len(args) > 1 and isinstance(args[1], OnGpu) and not isinstance(args[0], OnGpu):
            return func(args[0], GPU, args[1].dtype)
        return func(*args, **kwargs)


def _to_cpu(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    given = (*args, *kwargs.values())
    devices = [torch.device(each) for each in given if isinstance(each, str | torch.device)]
    others = [each for each in given if isinstance(each, torch.Tensor) and not isinstance(each, OnGpu)]
    return name == "cpu" or bool(others) or CPU in devices


def _fetched(tensor: OnGpu) -> torch.Tensor:
    with torch._C.DisableTorchFunction():
        result: torch.Tensor = _Fetch.apply(tensor)
        return result


def _numbered(given: Any) -> Any:
    """Return "cuda" with the index of the only GPU, which torch would request from the driver."""
    if isinstance(given, str | torch.device) and str(given) == "cuda":
        return GPU
    return given


@contextmanager
def pretend_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Context with a simulated GPU of 100 GiB and compute capability 9.0."""
    cast = torch.autocast.__init__

    def on_cpu(
        self: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None
    ) -> None:
        cast(self, "cpu", dtype, enabled, cache_enabled)

    facts = {
        "is_available": True,
        "get_device_capability": (9, 0),
        "get_device_name": "Pretended GPU",
        "mem_get_info": (MEMORY, MEMORY),
        "_lazy_init": None,
        "empty_cache": None,
    }
    for name, value in facts.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    monkeypatch.setattr(torch.autocast, "__init__", on_cpu)
    monkeypatch.setattr(
        torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda _: None, raising=False
    )
    monkeypatch.setenv("HF_DEACTIVATE_ASYNC_LOAD", "1")  # other threads do not see the GPU
    swapping = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)  # so that a parameter can change its class
    try:
        with _Moves(), _Operations():
            yield
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swapping)
