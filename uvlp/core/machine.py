"""Facts about this machine; they stand in manifests and never enter a key."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
from functools import cache

CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""What cuBLAS needs to give the same bits every time; 32 MB."""
PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "scikit-learn", "numpy", "pillow")


@cache
def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages that decide about results."""
    found = {"python": platform.python_version()}
    for name in ("uvlp", *PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def peak_memory_mb() -> int:
    """Peak resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def single_thread() -> None:
    """Run torch on one thread: other counts change the last bits."""
    import torch

    torch.set_num_threads(1)


def thread_environment() -> dict[str, str]:
    """Environment for worker processes, to be set before torch is imported."""
    return {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        CUBLAS_WORKSPACE[0]: CUBLAS_WORKSPACE[1],
    }


def device() -> str:
    """`cuda` where torch finds one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def gpu_name() -> str | None:
    """Name of the GPU in use, None on a CPU."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def default_workers() -> int:
    """Worker processes: two on a CPU with two cores or more."""
    return min(2, len(os.sched_getaffinity(0)))


def gpu_memory() -> str:
    """Free and total memory of the GPU in use, for a message."""
    import torch

    free, total = torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)
    return f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
