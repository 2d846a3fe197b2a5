"""`--portable`: the same bytes on every x86-64-v2 processor, by instructions that all of them have.

What each setting is for, what no setting changes, and how to check it stands in docs/portability.md.
"""

from __future__ import annotations

import math
import os
import platform
import sys

from uvlp.core import nvidia
from uvlp.core.errors import UvlpError

REVISION = 2
"""Raised with every change of bytes; 1 left convolutions to oneDNN, which cuts sums by the size of caches."""
SETTINGS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",  # the only branch that is meant for both vendors
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX2,-FMA,-FMA4,-AVX",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
"""Environment of every process that computes; libraries read it when they are loaded, glibc before `main`."""
INTERFERING = (
    *("ATEN_", "BLIS_", "DNNL_", "GOMP_", "GOTO_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32", "TORCH_CPU", "TORCH_MKLDNN"),
)
"""How the names begin of variables that choose kernels or numbers of threads."""
EXP = (float.fromhex("-0x1.3cffdf3baa54ep+2"), float.fromhex("0x1.cec6031da45bep-8"))
"""A number and its exponential: where glibc uses FMA instructions, it gives the next number above."""


def libc() -> str:
    """Name and version of the C library, e.g. ``glibc 2.36``: its functions are part of the promise.

    Raises:
        UvlpError: another processor, system or C library than the settings are for.
    """
    machine = f"{sys.platform} on {platform.machine()}"
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise UvlpError("--portable is for x86-64 processors under Linux only", got=machine)
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except ValueError:
        raise UvlpError("--portable needs glibc", got=" ".join(platform.libc_ver()).strip() or None) from None


def identity() -> str:
    """What decides about the bytes beside the packages, for keys: the C library and `REVISION`."""
    return f"{libc()}, revision {REVISION}"


def enforce() -> None:
    """Set the environment of the processes that are started from now on, and tell who expects a GPU.

    This process has loaded its C library already; what it computes must not reach an artifact.

    Raises:
        UvlpError: see `libc`.
    """
    libc()
    if not nvidia.all_gpus_masked() and nvidia.cards():
        print("note   --portable computes on the CPU; the GPU is not used", file=sys.stderr)
    for name in [name for name in os.environ if name.startswith(INTERFERING)]:
        del os.environ[name]
    os.environ.update(SETTINGS)
    nvidia.visible_gpus.cache_clear()


def begin(*, torch: bool) -> None:
    """In a process that was started after `enforce`: see that the settings are in force, and do what is left.

    Args:
        torch: whether torch computes here; importing it takes a second.

    Raises:
        UvlpError: glibc, numpy or torch still uses instructions that not every processor has.
    """
    if math.exp(EXP[0]) != EXP[1]:
        raise UvlpError(
            "--portable: this C library goes on using FMA instructions",
            got=libc(),
            allowed="glibc from 2.33, whose GLIBC_TUNABLES can mask them",
            fix="run it in the container (docker/README.md), which has glibc 2.36",
        )
    import numpy._core._multiarray_umath as numpy  # type: ignore[import-not-found]

    _refuse("numpy", [name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__[name]])
    if torch:
        from torch.backends.cpu import get_cpu_capability

        _refuse("torch", [name for name in (get_cpu_capability(),) if name != "DEFAULT"])
        plain_convolutions()


def plain_convolutions() -> None:
    """Leave convolutions to matrix products of MKL, which alone promises equal results everywhere.

    oneDNN cuts long sums into parts by the sizes of a processor's caches, with any instructions, and NNPACK
    is used only where there are AVX2 and FMA. No variable turns either off.
    """
    from torch.backends import mkldnn, nnpack

    mkldnn.set_flags(False)
    nnpack.set_flags(False)


def _refuse(package: str, used: list[str]) -> None:
    if used:
        raise UvlpError(
            f"--portable: {package} goes on using instructions that not every processor has",
            got=", ".join(used),
            fix="install the locked packages (docker/requirements.lock)",
        )
