"""Host memory of the streaming pass of `embed`, for more and more images, with tiny models.

    OMP_NUM_THREADS=1 python -m benchmarks.embedding.embed_memory [--counts 500 2000] [--size-px 128]
        [--record]

Each count runs in its own process, on JPEG files of 500 x 375 px squashed to 128 px, so that it
takes minutes (512 px, as for the published models: --size-px 512, an hour on a core); the peak is what the
operating system counted (`getrusage`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from benchmarks.embedding.embed_images import HEIGHT_PX, WIDTH_PX, embed_images, write_photographs
from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from tests.image_features import image_features

COUNTS = (500, 2000, 5000)
LIMIT_MB, FLAT_PCT = 1500, 5
SIZE_PX = 128
REPORT = facts.MEASURED / "benchmarks" / "embed_memory_cpu.md"
HEAD = """# Host memory of `embed`

Part `images` (CLIP features and VAE moments in one pass) on JPEG files of {width} x {height} px, squashed to
{size} px, with tiny models in the published formats (`tests/tiny_models.py`), on a CPU. Every count in a
separate process, which imports all libraries.

- Hardware: {hardware}; {versions}
- Commit: {commit}; load average at the start {load}
- Command: `python -m benchmarks.embedding.embed_memory{arguments}`

{table}
Asked for: less than {limit} MB at 2,000 images, and flat from the fewest to the most (within {flat} %).
Measured: {largest} MB at most; the most is {growth:+.1f} % over the least. **{verdict}**
"""


def measured(count: int, size_px: int) -> tuple[int, int, float]:
    """Peak memory with all libraries and models loaded, and at the end, MB; seconds of the stage."""
    arguments = [sys.executable, "-m", "benchmarks.embedding.embed_memory", "--one", str(count)]
    arguments += ["--size-px", str(size_px)]
    shown = subprocess.run(arguments, check=True, capture_output=True, encoding="utf-8").stdout
    found = re.search(r"before (\d+) after (\d+) seconds ([\d.]+)", shown)
    assert found, shown
    return int(found[1]), int(found[2]), float(found[3])


def one(count: int, size_px: int) -> None:
    """The run of one count, in this process."""
    import numpy
    import torch

    from tests import tiny_models
    from uvlp.core import machine
    from uvlp.models.autoencoder import Autoencoder
    from uvlp.models.embedder import Embedder
    from uvlp.recipes.schema import EmbedSettings

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_photographs(root / "data", count)
        models = SimpleNamespace(
            embedder=tiny_models.clip(root / "clip"), autoencoder=tiny_models.diffusion(root / "diffusion")
        )
        # Both once, so that what the libraries take for themselves is counted before the images.
        image = numpy.zeros((1, size_px, size_px, 3), numpy.uint8)
        image_features(Embedder.load(models.embedder), image)
        Autoencoder.load(models.autoencoder, "vae").posterior(image)
        before, started = machine.peak_memory_mb(), time.monotonic()
        embed_images(root / "data", models, root / "store", size_px, EmbedSettings())
        print(f"before {before} after {machine.peak_memory_mb()} seconds {time.monotonic() - started:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--size-px", type=int, default=SIZE_PX)
    parser.add_argument("--record", action="store_true", help=f"write {REPORT.name}")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(options.one, options.size_px)
        return
    load, rows, peaks = facts.load(), [], []
    for count in options.counts:
        before, after, seconds = measured(count, options.size_px)
        peaks.append(after)
        rows.append([f"{count:,}", str(before), str(after), f"{seconds:.0f}"])
        print(rows[-1], flush=True)
    growth = 100 * (max(peaks) / min(peaks) - 1)
    report = HEAD.format(
        width=WIDTH_PX,
        height=HEIGHT_PX,
        size=options.size_px,
        hardware=facts.hardware("cpu"),
        versions=facts.versions(),
        commit=facts.commit(),
        load=load,
        arguments=" --record" if options.record else "",
        table=table(["images", "peak before the stage, MB", "peak at its end, MB", "seconds"], rows),
        limit=LIMIT_MB,
        flat=FLAT_PCT,
        largest=max(peaks),
        growth=growth,
        verdict="held" if max(peaks) < LIMIT_MB and growth <= FLAT_PCT else "not held",
    )
    print(report)
    if options.record:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
