"""Facts about this machine; they stand in manifests and never enter a key."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import resource
from functools import cache

from uvlp.core import nvidia
from uvlp.core.errors import UvlpError

CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""What cuBLAS needs to give the same bits every time; 32 MB."""
GPU_STAGES = ("caption", "finetune", "embed", "synthesise", "teacher")
"""Stages that choose their batches for a GPU that they have to themselves."""
MIB_PER_WORKER = 20 * 1024
"""Memory for one process: CUDA's own, one evaluation at 224 px, and a share of the largest model stage."""
MOST_ON_A_GPU = 4
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


def gpu_has_bfloat16() -> bool:
    """Whether the GPU in use computes in bfloat16 itself, from compute capability 8.0 on."""
    import torch

    return torch.cuda.get_device_capability()[0] >= 8


def default_workers() -> int:
    """Worker processes: two on a CPU with two cores or more; on a GPU as many as its memory is enough for."""
    cores = len(os.sched_getaffinity(0))
    gpus = nvidia.visible_gpus()
    if not gpus:
        return min(2, cores)
    return max(1, min(MOST_ON_A_GPU, cores, gpus[0].total_mib // MIB_PER_WORKER))


def takes_the_gpu(stage: str) -> bool:
    """Whether a stage fills a GPU, so that no second one of the kind may run beside it."""
    return stage in GPU_STAGES and bool(nvidia.visible_gpus())


def driver_version() -> str | None:
    """Version of NVIDIA's driver, None without one."""
    gpus = nvidia.visible_gpus()
    return gpus[0].driver if gpus else None


def release_gpu() -> None:
    """Give back what a finished task held of the GPU's memory, and begin to measure its peak anew."""
    import torch

    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def gpu_peak_memory_mb() -> int | None:
    """Most GPU memory that this process's tensors held since `release_gpu`, MB; None on a CPU."""
    import torch

    return torch.cuda.max_memory_allocated() // 2**20 if torch.cuda.is_available() else None


def too_little_gpu_memory(what: str, fix: str) -> UvlpError:
    """The error for a GPU that has no room ``what``, e.g. "to fine-tune"; ``do`` is what to do about it."""
    import torch

    free, total = torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)
    got = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    return UvlpError(f"too little GPU memory {what}", got=got, fix=fix)
