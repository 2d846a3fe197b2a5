"""The GPU: driver, memory, dtypes, batch sizes, and problems."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

from uvlp.cli.findings.finding import INSTALL, Finding
from uvlp.core import nvidia
from uvlp.models.published import memory
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.recipes.precision import resolve_dtype
from uvlp.recipes.schema import CaptionSettings, EmbedSettings, FinetuneSettings

NEEDS_GIB = {"captions by LLaVA": 16, "fine-tuning": 20, "synthesis": 6}
"""GPU memory of profile sd15, calculated: half-precision weights (14 GB of LLaVA, 2 GB of Stable Diffusion);
for fine-tuning weights, gradients, two moments and their average in float32 (17 GB), half-precision weights
(2 GB), and activations of one image, since it splits its batch into as many parts as needed."""
OLDEST_DRIVER = {12: 525, 13: 580}
"""First driver of each CUDA major version; it supports every minor version."""
NONE = "none: everything runs on the CPU (digits and folder need no GPU; the papers' sizes would take days)"
SIZES = "reduce the batch sizes of caption, finetune and synthesise, or use profile small or tiny"
IPC = 50
SD15_CHANNELS, SD15_CELLS, SD15_WEIGHTS = 320, 64 * 64, 2_200_000_000
"""First channels of the UNet, positions of a latent at 512 px, and bytes of the pipeline in float16."""
FLOAT16_BYTES = 2


def findings() -> Iterator[Finding]:
    """Yield one or more lines; torch is installed."""
    import torch

    cards, cuda = nvidia.cards(), nvidia.driver_cuda()
    with warnings.catch_warnings(action="ignore"):  # an old driver is reported here
        available = torch.cuda.is_available()
    if cards:
        yield _driver(torch, cards[0], cuda, available)
    if available:
        yield from _cards(torch)
    elif cards:
        yield _unused(torch, cards, cuda)
    else:
        yield Finding("gpu", True, NONE)


def _driver(torch: Any, card: nvidia.Card, cuda: tuple[int, int] | None, available: bool) -> Finding:
    """Name the driver and the one that torch needs; an older one with CUDA's compatibility package works."""
    runs = f", runs CUDA up to {cuda[0]}.{cuda[1]}" if cuda else ""
    found = f"NVIDIA {card.driver}{runs}; torch is built for "
    if not torch.version.cuda:
        return Finding("driver", True, f"{found}the CPU only")
    oldest = OLDEST_DRIVER.get(_major(torch))
    needs = f", which needs driver {oldest} or newer" if oldest else ""
    good = available or not _too_old(torch, card, cuda)
    return Finding("driver", good, f"{found}CUDA {torch.version.cuda}{needs}", "" if good else _newer(torch))


def _major(torch: Any) -> int:
    return int(torch.version.cuda.partition(".")[0])


def _too_old(torch: Any, card: nvidia.Card, cuda: tuple[int, int] | None) -> bool:
    """Return whether the driver, by the CUDA it runs or else by its release, is too old for this torch."""
    if cuda is not None:
        return cuda[0] < _major(torch)
    release = card.driver.partition(".")[0]
    return release.isdigit() and int(release) < OLDEST_DRIVER.get(_major(torch), 0)


def _newer(torch: Any) -> str:
    major = _major(torch)
    newer = f"driver {OLDEST_DRIVER[major]} or newer" if major in OLDEST_DRIVER else "a newer driver"
    return f"install {newer}; on a data-centre GPU cuda-compat-{major} is enough"


def _unused(torch: Any, cards: tuple[nvidia.Card, ...], cuda: tuple[int, int] | None) -> Finding:
    """Return why torch does not use the GPU that the driver lists."""
    name = cards[0].name
    if nvidia.all_gpus_masked():
        value = os.environ["CUDA_VISIBLE_DEVICES"]
        fix = "unset CUDA_VISIBLE_DEVICES, or continue on the CPU"
        return Finding("gpu", False, f"{name}, hidden by CUDA_VISIBLE_DEVICES={value}", fix)
    if not torch.version.cuda:
        return Finding("gpu", False, f"{name}, but torch is built for the CPU only", INSTALL)
    if _too_old(torch, cards[0], cuda):
        runs = f"runs CUDA {cuda[0]}.{cuda[1]}" if cuda else f"is {cards[0].driver}"
        problem = f"{name}, but its driver {runs} and torch needs {torch.version.cuda}"
        return Finding("gpu", False, problem, _newer(torch))
    fix = "run nvidia-smi; in a container start it with --gpus all; then restart the machine"
    return Finding("gpu", False, f"{name}, but CUDA cannot be initialised", fix)


def _cards(torch: Any) -> Iterator[Finding]:
    """Yield lines about the GPU in use: capability, memory, precision and batch sizes."""
    count = torch.cuda.device_count()
    major, minor = torch.cuda.get_device_capability(0)
    free, total = (size / 2**30 for size in torch.cuda.mem_get_info(0))
    name = torch.cuda.get_device_name(0)
    bfloat16 = "bfloat16" if major >= 8 else "no bfloat16"
    description = f"{name}, compute capability {major}.{minor}, {total:.0f} GiB ({free:.0f} free), {bfloat16}"
    oldest = min((int(arch.removeprefix("sm_")) for arch in _architectures(torch)), default=0)
    if 10 * major + minor < oldest:
        fix = f"this torch needs {oldest // 10}.{oldest % 10} or newer; CUDA_VISIBLE_DEVICES= uses the CPU"
        yield Finding("gpu", False, description, fix)
        return
    yield Finding("gpu", True, description)
    if count > 1:
        yield Finding("gpus", True, f"{count}: each process uses its own, and a fine-tuning uses all")
    too_large = [f"{what} ({need} GiB)" for what, need in NEEDS_GIB.items() if total < need]
    if too_large:
        yield Finding("gpu memory", False, f"too little in profile sd15 for {', '.join(too_large)}", SIZES)
    yield Finding("precision", True, _precision())
    yield Finding("batches", True, _batches(int(total * 2**30)))


def _architectures(torch: Any) -> list[str]:
    return [arch for arch in torch.cuda.get_arch_list() if arch.removeprefix("sm_").isdigit()]


def _precision() -> str:
    computing, training = (resolve_dtype("auto", "cuda", training=training) for training in (False, True))
    return (
        f"{computing} to caption, embed and synthesise, {training} to train; evaluation in TF32 and float32"
    )


def _batches(total: int) -> str:
    """List the batch sizes of profile sd15; they are halved at run time if memory runs out."""
    each = memory.prototype_bytes(SD15_CHANNELS, SD15_CELLS, FLOAT16_BYTES)
    finetune = FinetuneSettings()
    parts = {
        "caption": CaptionSettings().batch,
        "fine-tune": f"{finetune.batch} (times {finetune.accumulation})",
        "embed": EmbedSettings().batch,
        "synthesise": memory.choose(IPC, each, max(0, total - SD15_WEIGHTS)),
        "evaluate": EvaluateSettings().batch,
    }
    return ", ".join(f"{name} {size}" for name, size in parts.items())
