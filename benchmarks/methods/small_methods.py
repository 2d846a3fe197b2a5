"""Cost of DM, IDC-1, SRe2L and RDED in profile small on this processor, from a few steps of each.

    python -m benchmarks.methods.small_methods folder:/data/cifar10-10k [--record]

A step is timed several times in processor seconds, on one thread and with the memory allocator of our
workers; the smallest counts and is multiplied by the profile's number of steps. The teacher is an untrained
one: its weights change no time. Nothing is scored: evaluation and the training of the teacher are not in the
figures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy
import torch
from torch import nn

from benchmarks.methods.dm_speed import as_worker
from benchmarks.parity import facts
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.methods import dm, idc_1, rded, sre2l
from uvlp.methods.algorithms import rded_sampling
from uvlp.methods.algorithms.method_input import MethodInput, build
from uvlp.methods.algorithms.optimising import inversion
from uvlp.methods.algorithms.optimising.idc import Condensation
from uvlp.pipeline.datasets import open_dataset
from uvlp.protocols.training import rded_networks
from uvlp.recipes import overrides

IPC, SIZE_PX = 10, 32
REPORT = facts.MEASURED / "benchmarks" / "small_methods.md"
Row = tuple[str, str, float, float]
"""Method, what a step is, its processor seconds, number of steps."""


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the smallest processor time of several."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def of_dm(inputs: MethodInput) -> Iterator[Row]:
    settings = overrides.merge(dm.Settings(), dm.PROFILES["small"])
    made = dm.optimise(inputs, settings, Progress())
    yield "DM", "iteration", seconds(lambda: made.step(1)), settings.iterations


def of_idc(inputs: MethodInput) -> Iterator[Row]:
    profile: Any = idc_1.PROFILES["small"]
    settings = overrides.merge(idc_1.Settings(), profile)
    made = idc_1.optimise(inputs, settings, Progress())
    assert isinstance(made, Condensation)
    classes, images = len(inputs.classes), sum(len(data.rows) for data in inputs.classes)
    matches = settings.outer * settings.inner * classes
    yield "IDC-1", "match of a class", seconds(lambda: made._match(1, 0), 5), matches
    generator = numpy_generator(0, "benchmark")
    batch = numpy.arange(settings.real_batch)
    each = -(-settings.train_images // settings.real_batch) * settings.real_batch
    trained = settings.outer * (settings.pretrain_epochs * images + (settings.inner - 1) * each)
    yield (
        "IDC-1",
        f"training on {settings.real_batch} images",
        seconds(lambda: made._train(batch, generator), 5),
        trained / settings.real_batch,
    )


def of_sre2l(inputs: MethodInput, iterations: int = 5) -> Iterator[Row]:
    settings = overrides.merge(sre2l.Settings(), sre2l.PROFILES["small"])
    few = replace(settings, iterations=iterations)
    recovery = inversion.Recovery(inputs, few, Progress())
    batches = list(inversion.groups(len(inputs.classes), inputs.ipc, settings.batch))
    spent = seconds(lambda: recovery.images(batches[0])) / iterations
    yield "SRe2L", f"iteration of {len(batches[0].labels)} images", spent, settings.iterations * len(batches)


def of_rded(inputs: MethodInput, candidates: int = 60) -> Iterator[Row]:
    settings = overrides.merge(rded.Settings(), rded.PROFILES["small"])
    few, network = replace(settings, candidates=candidates), teacher(len(inputs.classes))
    spent = seconds(lambda: rded_sampling.class_images(inputs, 0, few, network))
    crops = settings.candidates * settings.crops * len(inputs.classes)
    yield "RDED", "scored crop", spent / (candidates * settings.crops), crops


def teacher(classes: int) -> nn.Module:
    """An untrained teacher, as `load_teacher` returns a trained one."""
    network = rded_networks.seeded("conv3", classes=classes, size_px=SIZE_PX, seed=0)
    return network.eval().requires_grad_(False)


def measure(data: str) -> list[Row]:
    """Time the steps of all four methods, one seed."""
    with tempfile.TemporaryDirectory() as cache:
        dataset = open_dataset(DatasetSpec.parse(data), Path(cache), Progress())
        inputs = build(dataset, IPC, 0, {}, size_px=SIZE_PX, flip=True)
        inputs = replace(inputs, models={"teacher": Path(cache)})
        with mock.patch.object(inversion, "load_teacher", lambda _: teacher(len(inputs.classes))):
            return [row for of in (of_rded, of_sre2l, of_idc, of_dm) for row in of(inputs)]


def report(rows: list[Row], data: str) -> str:
    """The table as Markdown."""
    body = "\n".join(
        f"| {method} | {step} | {1000 * spent:,.1f} | {steps:,.0f} | {spent * steps / 3600:.2f} |"
        for method, step, spent, steps in rows
    )
    return f"""# Profile small: what DM, IDC-1, SRe2L and RDED cost on a processor

IPC {IPC}, images of {SIZE_PX} px, one seed. **Extrapolated**: a few steps were timed in processor seconds and
multiplied by the profile's number of steps. Neither the training of the teacher nor evaluation is in the
figures, and nothing was scored. The profile is meant for a GPU, where none of this was measured.

- Hardware: {facts.hardware("cpu")}; {facts.versions()}
- Load average {facts.load()}; one thread
- Command: `python -m benchmarks.methods.small_methods {data}`

| method | step | ms of a step | steps | hours in all |
| ------ | ---- | ------------ | ----- | ------------ |
{body}
"""


def main() -> None:
    """Measure, print, and with --record keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", help="folder:PATH of 32-px colour images")
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args()
    as_worker()
    torch.set_num_threads(1)
    text = report(measure(chosen.data), f"folder:{Path(chosen.data.partition(':')[2]).name}")
    print(text)
    if chosen.record:
        REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
