"""Speed and memory of a machine: GPUs by their data sheets, this processor by a short measurement."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache

from uvlp.core import machine, nvidia
from uvlp.core.errors import UvlpError, unknown_name

TERA, GIGA = 1e12, 1e9
PROBE = """
import time, numpy
a = numpy.ones((768, 768), numpy.float32)
b = a.copy()
a @ b
count, start = 0, time.perf_counter()
while time.perf_counter() - start < 0.3:
    a @ b
    count += 1
print(2 * 768**3 * count / (time.perf_counter() - start))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine of a run.

    Attributes:
        name: title for messages.
        half, tf32, single: dense peak in float16 or bfloat16, TF32 and float32, operations per second; for a
            processor all three are the measured float32 matrix rate of one thread.
        bandwidth: memory bandwidth, bytes per second; 0: unknown.
        memory_bytes: GPU memory; 0 for a processor.
        cores: processor cores that read and decode images.
        source: source of the figures.
        known: whether time can be estimated; False for a card that is not in `CARDS`, or a memory size.
        count: number of such cards.
    """

    name: str
    half: float
    tf32: float
    single: float
    bandwidth: float
    memory_bytes: float
    cores: int
    source: str
    known: bool = True
    count: int = 1

    @property
    def gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.memory_bytes > 0


def _card(name: str, half: float, tf32: float, single: float, bandwidth: float, memory: float) -> Machine:
    """Build a card from rates in tera-operations per second, bandwidth in GB/s and memory in GB."""
    return Machine(
        name=name,
        half=half * TERA,
        tf32=tf32 * TERA,
        single=single * TERA,
        bandwidth=bandwidth * GIGA,
        memory_bytes=memory * GIGA,
        cores=HOST_CORES,
        source="NVIDIA's data sheet, dense",
    )


HOST_CORES = 12
"""Assumed for a named card; those of this machine are counted."""
CARDS = {
    "b200": _card("NVIDIA B200", 2250, 1125, 75, 7700, 180),
    "h200": _card("NVIDIA H200", 989, 495, 67, 4800, 141),
    "h100": _card("NVIDIA H100 SXM", 989, 495, 67, 3350, 80),
    "h100-pcie": _card("NVIDIA H100 PCIe", 756, 378, 51, 2000, 80),
    "a100-80gb": _card("NVIDIA A100 80 GB", 312, 156, 19.5, 2039, 80),
    "a100-40gb": _card("NVIDIA A100 40 GB", 312, 156, 19.5, 1555, 40),
    "l40s": _card("NVIDIA L40S", 362, 183, 91.6, 864, 48),
    "a10": _card("NVIDIA A10", 125, 62.5, 31.2, 600, 24),
    "l4": _card("NVIDIA L4", 121, 60, 30.3, 300, 24),
    "rtx-4090": _card("NVIDIA GeForce RTX 4090", 165, 83, 82.6, 1008, 24),
    "rtx-3090": _card("NVIDIA GeForce RTX 3090", 71, 36, 35.6, 936, 24),
    "t4": _card("NVIDIA T4", 65, 8.1, 8.1, 320, 16),
}
"""Dense matrix rates with float32 accumulation; a T4 has no TF32. Cards that the locked torch does not run on
(V100, MI300X) are not listed."""
OTHER_NAMES = {"a100": "a100-40gb"}
"""A name that two cards have means the one with less memory."""
MEMORY = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)\s*(GB|GiB)", re.IGNORECASE)
MOST_CARDS = 1024
DRIVER_NAMES = (
    ("B200", "b200"),
    ("H200", "h200"),
    ("H100 PCIe", "h100-pcie"),
    ("H100", "h100"),
    (r"A100.*80GB", "a100-80gb"),
    ("A100", "a100-40gb"),
    (r"\bA10\b", "a10"),
    ("L40S", "l40s"),
    (r"\bL4\b", "l4"),
    ("RTX 4090", "rtx-4090"),
    ("RTX 3090", "rtx-3090"),
    (r"\bT4\b", "t4"),
)
"""Patterns of driver names; the first match wins, so more specific ones come first."""


def named(name: str) -> Machine:
    """Return a card by its name in `CARDS`.

    Raises:
        UvlpError: no such card; suggests the nearest one.
    """
    wanted = re.sub(r"[-_ ]", "", name.lower()).removeprefix("nvidia").removeprefix("geforce")
    found = {each.replace("-", ""): each for each in CARDS} | OTHER_NAMES
    if wanted not in found:
        raise unknown_name("card", name, (*CARDS, *OTHER_NAMES))
    return CARDS[found[wanted]]


def described(text: str) -> Machine:
    """Return the machine that ``--gpu`` describes: ``24GB``, ``h200`` or ``a100:8``.

    Of a memory size nothing else is known, so that no time is estimated.

    Raises:
        UvlpError: neither a memory size nor the name of a card, or an invalid number of cards.
    """
    what, colon, count = text.partition(":")
    if colon and not (count.isascii() and count.isdigit() and 1 <= int(count[:6]) <= MOST_CARDS):
        raise UvlpError("the number of cards in --gpu", got=text, allowed=f"1 to {MOST_CARDS}, as in a100:8")
    size = MEMORY.fullmatch(what.strip())
    card = _of_memory(float(size[1]), size[2]) if size else _named_or_size(what.strip())
    return replace(card, count=int(count) if colon else 1)


def _of_memory(amount: float, unit: str) -> Machine:
    memory_bytes = amount * (2**30 if unit.lower() == "gib" else GIGA)
    if memory_bytes <= 0:
        raise UvlpError("the memory of a card in --gpu", got=f"{amount:g}{unit}", allowed="more than 0")
    return replace(
        _card(f"a card of {amount:g} {unit}", 0, 0, 0, 0, 0),
        memory_bytes=memory_bytes,
        source="its memory is all that is known; name a card for a time",
        known=False,
    )


def _named_or_size(name: str) -> Machine:
    try:
        return named(name)
    except UvlpError as error:
        allowed = f"{error.allowed}; or a memory size such as 24GB"
        raise UvlpError(error.what, got=name, allowed=allowed, fix=error.fix) from None


@cache
def this_machine() -> Machine:
    """Return the first visible GPU, else this machine's processor."""
    gpus = nvidia.visible_gpus()
    return _gpu(gpus[0].name, gpus[0].total_mib * 2**20) if gpus else _processor()


def _gpu(name: str, memory_bytes: float) -> Machine:
    cores = len(os.sched_getaffinity(0))
    for pattern, card in DRIVER_NAMES:
        if re.search(pattern, name):
            return replace(CARDS[card], name=name, memory_bytes=memory_bytes, cores=cores)
    unknown = _card(name, 0, 0, 0, 0, 0)
    why = "no data sheet for this card"
    return replace(unknown, memory_bytes=memory_bytes, cores=cores, source=why, known=False)


def _processor() -> Machine:
    """Measure this processor for 0.3 s on one thread, as tasks run, in a separate process."""
    environment = {**os.environ, **machine.thread_environment()}
    printed = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, encoding="utf-8", check=True, env=environment
    )
    rate, cores = float(printed.stdout), len(os.sched_getaffinity(0))
    return Machine(
        name=f"this processor, {cores} core{'s' if cores > 1 else ''}",
        half=rate,
        tf32=rate,
        single=rate,
        bandwidth=0.0,
        memory_bytes=0.0,
        cores=cores,
        source=f"{rate / GIGA:.0f} GFLOP/s in float32 matrix products on one thread, measured now",
    )
