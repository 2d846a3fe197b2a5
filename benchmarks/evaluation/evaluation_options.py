"""What the options that round differently do to accuracy and time: bfloat16 and channels-last storage.

    OMP_NUM_THREADS=1 python benchmarks/evaluation/evaluation_options.py [--runs 12] [--device cuda]
        [--record]

The same random ten images per class of the digits, ConvNet-3 on the digits recipe, the same seeds for every
option. Each option is compared with the default image by image over all runs (tables/uncertainty.py).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import torch

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.scores import Score
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.datasets.digits import open_dataset, recipe
from uvlp.protocols import minimax
from uvlp.protocols.training.images import Images, Prepared, prepare
from uvlp.tables import uncertainty

IPC, NETWORK, CLASSES = 10, "convnet-3", 10
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "precision=bfloat16": {"precision": "bfloat16"},
    "channels_last=true": {"channels_last": True},
}
REPORT = Path(__file__).parents[2] / "paper_tables" / "measured" / "benchmarks" / "evaluation_options.md"


def images(size_px: int) -> tuple[Images, Prepared]:
    with tempfile.TemporaryDirectory() as cache:
        digits = open_dataset(DatasetSpec(name="digits"), Path(cache))
    labels, generator = numpy.asarray(digits.labels("train")), numpy_generator(0, "options")
    rows = [
        int(row)
        for label in range(CLASSES)
        for row in generator.choice(numpy.flatnonzero(labels == label), IPC, replace=False)
    ]
    shown = digits.originals("val", range(len(digits.labels("val"))))
    validation = Prepared(
        pixels=prepare(shown, size_px, minimax.validation_pixels), labels=numpy.asarray(digits.labels("val"))
    )
    return Images(pixels=digits.originals("train", rows), labels=labels[rows]), validation


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = recipe(IPC).evaluate
    train, validation = images(settings.size_px)
    found: dict[str, list[Score]] = {name: [] for name in OPTIONS}
    seconds: dict[str, list[float]] = {name: [] for name in OPTIONS}
    for seed in range(options.runs):
        for name, changes in OPTIONS.items():
            started = time.process_time()
            found[name].append(
                minimax.evaluate(
                    train,
                    validation,
                    network=NETWORK,
                    classes=CLASSES,
                    ipc=IPC,
                    settings=replace(settings, **changes),
                    seed=seed,
                    progress=Progress(),
                    device=options.device,
                )
            )
            seconds[name].append(time.process_time() - started)
        print(f"run {seed + 1} of {options.runs}", flush=True)
    lines = report(found, seconds, options.device)
    print("\n".join(lines))
    if options.record:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text("# Options that round differently\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def report(found: dict[str, list[Score]], seconds: dict[str, list[float]], device: str) -> list[str]:
    where = torch.cuda.get_device_name() if device == "cuda" else f"one thread of {platform.machine()}"
    runs = len(found["default"])
    lines = [
        f"digits, {IPC} random images per class, {NETWORK}, {runs} trainings of each with the same seeds; "
        f"{where}, torch {torch.__version__}. Difference from the default with its 95 % interval, points.",
        "",
        "| option | best | difference of best | difference of last | processor s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, scores in found.items():
        best = [score.best_pct for score in scores]
        shown = f"{statistics.fmean(best):.2f} ± {statistics.stdev(best):.2f}"
        texts = [difference(scores, found["default"], which) for which in ("best", "last")]
        median_s = statistics.median(seconds[name])
        lines.append(f"| {name} | {shown} | {' | '.join(texts)} | {median_s:.1f} |")
    return lines


def difference(scores: list[Score], default: list[Score], which: str) -> str:
    if scores is default:
        return ""
    d = uncertainty.differences(list(zip(scores, default, strict=True)), which)
    result = uncertainty.compare(d, [0] * len(scores))
    return f"{result.points:+.2f} [{result.low_points:+.2f}, {result.high_points:+.2f}]"


if __name__ == "__main__":
    main()
