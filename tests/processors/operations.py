"""The operations of the pipeline, and a hash of the result of each on this processor.

`python -m tests.processors.operations [NAME ...]` prints them as JSON, with the settings of the environment
and convolutions as with `--portable`;
`run_scripts/test_processors.sh --emulated` compares them between this processor and two emulated ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy
import torch

from tests.processors import array_operations, elementwise_operations, model_operations, tensor_operations
from tests.processors.tensor_operations import WIDE
from uvlp.core import portable

OPERATIONS: dict[str, Callable[[], object]] = {
    **dict(elementwise_operations.operations()),
    **array_operations.OPERATIONS,
    **tensor_operations.OPERATIONS,
    **model_operations.OPERATIONS,
}

ROOT = "MKL approximates square roots by a reciprocal on AMD: 13 % of float32 and 1 % of float64 differ"
VECTOR = "MKL's vector library uses another algorithm on AMD: the last digits differ"
THROUGH = "computes a square root of tensors: the last digits differ on AMD"
NOT_PORTABLE: dict[str, str] = {
    **{f"torch.{name} {dtype}": ROOT for name in ("sqrt", "** 0.5") for dtype in ("float32", "float64")},
    **{f"torch.{name} {dtype}": VECTOR for name in ("tan", "asin", "acos", "atan") for dtype in WIDE},
    **{f"torch.cdist{way} {dtype}": THROUGH for way in ("", " through a product") for dtype in WIDE},
    **{f"torch.optim.{name}": THROUGH for name in ("Adam", "AdamW", "AdamW foreach")},
    **{f"diffusers.{name}.step": THROUGH for name in model_operations.STEPPING},
    **{f"diffusers.{name}.add_noise": THROUGH for name in (*model_operations.STEPPING, "DDPMScheduler")},
}
"""Operations that differ with every setting, and why; with `--portable` no artifact may depend on them."""


def digest(result: object) -> str:
    """Return the shortened SHA-256 of a result: dtypes, shapes and bytes."""
    hashed = hashlib.sha256()
    for part in _parts(result):
        hashed.update(part)
    return hashed.hexdigest()[:16]


def _parts(result: Any) -> Iterable[bytes]:
    if isinstance(result, torch.Tensor):
        result = result.detach().contiguous()
        result = result.view(torch.int16).numpy() if result.dtype == torch.bfloat16 else result.numpy()
    if isinstance(result, bytes):
        yield result
    elif isinstance(result, list | tuple):
        for part in result:
            yield from _parts(part)
    else:
        array = numpy.ascontiguousarray(result)
        yield f"{array.dtype}{array.shape}".encode()
        yield array.tobytes()


def hashes(names: Iterable[str] = OPERATIONS) -> dict[str, str]:
    """Return hashes by name of the operation, each computed on one thread."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about inputs are irrelevant here
        return {name: digest(OPERATIONS[name]()) for name in names}


def main() -> None:
    portable.plain_convolutions()
    result = {
        "libc": " ".join(platform.libc_ver()),
        "torch": torch.backends.cpu.get_cpu_capability(),
        "tunables": os.environ.get("GLIBC_TUNABLES", ""),
        "hashes": hashes(sys.argv[1:] or OPERATIONS),
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
