"""Environment variables that make one processor compute like another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uvlp.core import portable

NUMPY = "NPY_DISABLE_CPU_FEATURES"
PORTABLE = {name: value for name, value in portable.SETTINGS.items() if not name.startswith("CUDA")}
SETTINGS: dict[str, Mapping[str, str]] = {
    "as-it-is": {},
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "aten-plain": {name: PORTABLE[name] for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")},
    "mkl": {"MKL_CBWR": PORTABLE["MKL_CBWR"]},
    "openblas-prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "openblas-haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "numpy-v3": {NUMPY: "X86_V4 AVX512_ICL AVX512_SPR"},
    "numpy-v2": {NUMPY: PORTABLE[NUMPY]},
    "glibc": {"GLIBC_TUNABLES": PORTABLE["GLIBC_TUNABLES"]},
    "portable": PORTABLE,
}
NEEDED = {"aten-avx2": "avx2", "openblas-haswell": "avx2"}
"""Instructions that a setting requires."""


def lacking(name: str, processor: Path = Path("/proc/cpuinfo")) -> str:
    """Return the instructions that setting ``name`` requires and this processor lacks; empty if none."""
    needed = NEEDED.get(name, "")
    return needed if needed and needed not in processor.read_text(encoding="utf-8").split() else ""
