"""How an evaluation's time grows with IPC and classes, and what memory a large validation set needs.

    OMP_NUM_THREADS=1 python benchmarks/evaluation/evaluation_scaling.py [--runs 5] [--record]

Time: the Minimax protocol on random images of 16 px with ConvNet-3 of width 32, a few epochs and
validation passes (490 images), scaled to the published schedule of that IPC and number of classes.
Memory: `uvlp evaluate` on 3,925 JPEG files of 500 x 375 px, as many as fast.ai's ImageNette validates on,
at 224 px, with a narrow network, so that the images and not the feature maps decide.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch
from PIL import Image

from uvlp.core.progress import Progress
from uvlp.protocols.minimax import evaluate
from uvlp.protocols.training import minimax_rules
from uvlp.protocols.training.images import Images, Prepared
from uvlp.recipes.evaluation import EvaluateSettings

SIZE_PX, WIDTH, VALIDATION, EPOCHS = 16, 32, 490, (2, 6)
CELLS = ((1, 10), (10, 10), (50, 10), (100, 10), (1, 100), (10, 100), (50, 100), (100, 100))
LARGE, TRAIN_PER_CLASS, CLASSES = 3925, 10, 10
LIMIT_MB = 2000
REPORT = Path(__file__).parents[2] / "paper_tables" / "measured" / "benchmarks" / "evaluation_scaling.md"


def random_images(count: int, classes: int, seed: int) -> Images:
    generator = numpy.random.default_rng(seed)
    pixels = generator.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3), dtype=numpy.uint8)
    return Images(pixels=pixels, labels=numpy.arange(count) % classes)


def processor_s(train: Images, validation: Prepared, ipc: int, classes: int, epochs: int) -> float:
    settings = EvaluateSettings(size_px=SIZE_PX, width=WIDTH, epochs=epochs, validations=1)
    start = time.process_time()
    evaluate(
        train,
        validation,
        network="convnet-3",
        classes=classes,
        ipc=ipc,
        settings=settings,
        seed=0,
        progress=Progress(),
    )
    return time.process_time() - start


def time_row(ipc: int, classes: int, runs: int) -> str:
    """One row: an epoch takes the difference of a longer and a shorter run, by their epochs."""
    train = random_images(ipc * classes, classes, 0)
    shown = random_images(VALIDATION, classes, 1)
    pixels = torch.from_numpy(numpy.asarray(shown.pixels).transpose(0, 3, 1, 2).copy())
    validation = Prepared(pixels=pixels, labels=shown.labels)
    few, many = EPOCHS
    pairs = [
        [processor_s(train, validation, ipc, classes, epochs) for epochs in (few, many)] for _ in range(runs)
    ]
    epoch_s = statistics.median((longer - shorter) / (many - few) for shorter, longer in pairs)
    epochs = minimax_rules.epochs_by_ipc(ipc, classes)
    images = ipc * classes
    return (
        f"| {ipc} | {classes} | {images} | {1000 * epoch_s:.1f} | {1e6 * epoch_s / images:.0f} "
        f"| {epochs} | {epochs * epoch_s / 60:.1f} |"
    )


def write_photographs(root: Path, per_class: list[int]) -> None:
    """JPEG files of 500 x 375 px: noise that was enlarged, so that they compress like photographs."""
    generator = numpy.random.default_rng(0)
    for label, count in enumerate(per_class):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(count):
            small = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=numpy.uint8))
            small.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{number:04d}.jpg", quality=90)


def memory() -> list[str]:
    """Peak memory of the processes that prepare the validation images and that evaluate."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_photographs(root / "data" / "train", [TRAIN_PER_CLASS] * CLASSES)
        counts = [LARGE // CLASSES + (label < LARGE % CLASSES) for label in range(CLASSES)]
        write_photographs(root / "data" / "val", counts)
        arguments = [f"{root}/data/train", "--dataset", f"folder:{root}/data", "--network", "convnet-3"]
        for setting in ("size_px=224", "width=4", "epochs=1", "validations=1"):
            arguments += ["--set", f"evaluate.{setting}"]
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "uvlp", "evaluate", *arguments, "--repeats", "1", "--no-random"]
            + ["--store", f"{root}/store"],
            check=True,
            capture_output=True,
        )
        seconds = time.monotonic() - started
        peak = {
            kind: max(
                json.loads(path.read_text(encoding="utf-8"))["made"]["peak_memory_mb"]
                for path in (root / "store" / kind).glob("*/manifest.json")
            )
            for kind in ("pixels", "scores")
        }
    return [
        f"{LARGE} validation images at 224 px: {peak['pixels']} MB at most while they are prepared, "
        f"{peak['scores']} MB while a network of width 4 is trained and validated on them "
        f"({'under' if max(peak.values()) < LIMIT_MB else 'over'} {LIMIT_MB} MB), {seconds:.0f} s in all."
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        f"ConvNet-3, width {WIDTH}, {SIZE_PX} px, one thread, processor seconds, medians of {options.runs} "
        f"pairs of runs; {platform.machine()}, torch {torch.__version__}.",
        "",
        "| IPC | classes | images | ms per epoch | µs per image | published epochs | minutes at that |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    for ipc, classes in CELLS:
        lines.append(time_row(ipc, classes, options.runs))
        print(lines[-1], flush=True)
    lines += ["", *memory()]
    print(lines[-1])
    if options.record:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text("# Evaluation: time and memory\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
