"""Facts about this machine; they are recorded in manifests and never enter a key."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import os
import platform
import resource
from functools import cache
from pathlib import Path

from uvlp.core import nvidia
from uvlp.core.errors import UvlpError

CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""The setting that makes cuBLAS deterministic; 32 MB."""
MIB_PER_WORKER = 20 * 1024
"""GPU memory per process: the CUDA context and one evaluation at 224 px."""
MOST_ON_A_GPU = 4
MOST_KEPT_BYTES = 512 << 20
"""Freed memory that a worker keeps for its next step. By default glibc returns it to the kernel, and every
step pays again for each page that it touches first: 15 % of the time of DM on digits."""
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Memory limit of a container, in the two versions of control groups; "max": none."""
PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "scikit-learn", "numpy", "pillow")


@cache
def versions() -> dict[str, str]:
    """Return the installed versions of Python and of the packages that affect results."""
    installed = {"python": platform.python_version()}
    for name in ("uvlp", *PACKAGES):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed[name] = "missing"
    return installed


def peak_memory_mb() -> int:
    """Return the peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def single_thread() -> None:
    """Run torch on one thread: other thread counts change the last bits."""
    import torch

    torch.set_num_threads(1)


def thread_environment() -> dict[str, str]:
    """Return the environment for worker processes, to be set before torch is imported."""
    return {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "MALLOC_MMAP_THRESHOLD_": str(MOST_KEPT_BYTES // 2),  # a larger piece is always returned
        "MALLOC_TRIM_THRESHOLD_": str(MOST_KEPT_BYTES),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        CUBLAS_WORKSPACE[0]: CUBLAS_WORKSPACE[1],
    }


def device() -> str:
    """Return `cuda` if torch finds a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def gpu_name() -> str | None:
    """Return the name of the GPU in use, None on a CPU."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def gpu_has_bfloat16() -> bool:
    """Return whether the GPU in use supports bfloat16 natively (compute capability 8.0 or higher)."""
    import torch

    return torch.cuda.get_device_capability()[0] >= 8


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def memory_bytes() -> int:
    """Return the memory of this machine, or of the container if that is limited to less."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="utf-8")))
    return min(found)


def default_workers() -> int:
    """Return the number of worker processes: at most two on a CPU; on GPUs as many as fit in their memory."""
    gpus = nvidia.visible_gpus()
    if not gpus:
        return min(2, cores())
    return max(1, min(sum(map(evaluations_on, gpus)), cores()))


def evaluations_on(card: nvidia.Card) -> int:
    """Return how many evaluations share a card by default."""
    return max(1, min(MOST_ON_A_GPU, card.total_mib // MIB_PER_WORKER))


def driver_version() -> str | None:
    """Return the version of the NVIDIA driver, None without one."""
    gpus = nvidia.visible_gpus()
    return gpus[0].driver if gpus else None


def release_gpu() -> None:
    """Free the GPU memory of a finished task and reset the peak measurement."""
    import torch

    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def gpu_peak_memory_mb() -> int | None:
    """Return the peak GPU memory of this process's tensors since `release_gpu` in MB, None on a CPU."""
    import torch

    return torch.cuda.max_memory_allocated() // 2**20 if torch.cuda.is_available() else None


def too_little_gpu_memory(what: str, fix: str) -> UvlpError:
    """Return the error for too little GPU memory ``what``, e.g. "to fine-tune"."""
    import torch

    free, total = torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)
    got = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    return UvlpError(f"too little GPU memory {what}", got=got, fix=fix)
