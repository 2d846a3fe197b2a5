"""`--portable`: the same bytes on every x86-64-v2 processor, using only instructions that all of them have.

docs/portability.md explains each setting, the limits, and how to check the result.
"""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

from uvlp.core import nvidia
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError

REVISION = 2
"""Raised when bytes change; 1 used oneDNN for convolutions, which splits sums by the size of caches."""
SETTINGS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",  # the only code path intended for both vendors
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX2,-FMA,-FMA4,-AVX",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
"""Environment of every process that computes; read by libraries when loaded, by glibc before `main`."""
INTERFERING = (
    *("ATEN_", "BLIS_", "DNNL_", "GOMP_", "GOTO_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32", "TORCH_CPU", "TORCH_MKLDNN"),
)
"""Prefixes of variables that select kernels or thread counts."""
EXP = (float.fromhex("-0x1.3cffdf3baa54ep+2"), float.fromhex("0x1.cec6031da45bep-8"))
"""A number and its exponential: with FMA instructions glibc returns the next larger number."""


def libc() -> str:
    """Return name and version of the C library, e.g. ``glibc 2.36``; its functions affect the bytes.

    Raises:
        UvlpError: the settings do not support this processor, system or C library.
    """
    machine = f"{sys.platform} on {platform.machine()}"
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise UvlpError("--portable is for x86-64 processors under Linux only", got=machine)
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except ValueError:
        raise UvlpError("--portable needs glibc", got=" ".join(platform.libc_ver()).strip() or None) from None


def identity() -> str:
    """Return what determines the bytes besides the packages, for keys: the C library and `REVISION`."""
    return f"{libc()}, revision {REVISION}"


def deciding(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the versions that may change bytes: those of the packages, and Python's without the last number.

    Python 3.11.2 and 3.11.7 made the same 673 files of the digits.
    """
    return {
        name: ".".join(str(version).split(".")[:2]) if name == "python" else version
        for name, version in versions.items()
        if name != "uvlp"
    }


def enforce() -> None:
    """Set the environment of processes started from now on; print a note if a GPU is left unused.

    This process has already loaded its C library, so nothing that it computes may enter an artifact.

    Raises:
        UvlpError: see `libc`.
    """
    libc()
    if not nvidia.all_gpus_masked() and nvidia.cards():
        messages.note("--portable computes on the CPU; the GPU is not used")
    for name in [name for name in os.environ if name.startswith(INTERFERING)]:
        del os.environ[name]
    os.environ.update(SETTINGS)
    nvidia.visible_gpus.cache_clear()


def begin(*, torch: bool) -> None:
    """In a process started after `enforce`: check that the settings are in effect, and set the rest.

    Args:
        torch: whether this process uses torch; importing it takes a second.

    Raises:
        UvlpError: glibc, numpy or torch still uses instructions that some processors lack.
    """
    if math.exp(EXP[0]) != EXP[1]:
        raise UvlpError(
            "--portable: this C library still uses FMA instructions",
            got=libc(),
            allowed="glibc 2.33 or later, whose GLIBC_TUNABLES can disable them",
            fix="run it in the container (docker/README.md), which has glibc 2.36",
        )
    import numpy._core._multiarray_umath as numpy  # type: ignore[import-not-found]

    _refuse("numpy", [name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__[name]])
    if torch:
        from torch.backends.cpu import get_cpu_capability

        _refuse("torch", [name for name in (get_cpu_capability(),) if name != "DEFAULT"])
        plain_convolutions()


def plain_convolutions() -> None:
    """Compute convolutions as MKL matrix products, the only backend that guarantees equal results everywhere.

    oneDNN splits long sums by the sizes of a processor's caches, whatever the instructions, and NNPACK
    is used only with AVX2 and FMA. No environment variable disables either.
    """
    from torch.backends import mkldnn, nnpack

    mkldnn.set_flags(False)
    nnpack.set_flags(False)


def _refuse(package: str, used: list[str]) -> None:
    if used:
        raise UvlpError(
            f"--portable: {package} still uses instructions that some processors lack",
            got=", ".join(used),
            fix="install the locked packages (docker/requirements.lock)",
        )
