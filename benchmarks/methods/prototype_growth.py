"""How time and memory of stage `prototype` grow with the number of classes.

    git worktree add ../before COMMIT
    python -m benchmarks.methods.prototype_growth --before ../before --classes 10,100,1000 --rows 200

Random features with a structure like CLIP's (images, captions and class names each share a direction, classes
and clusters have their own) lie in files, as stage `embed` leaves them. Every cell is the real stage in a new
process on one thread: processor seconds, peak of the process's own memory (sampled, without mapped files) and
of its resident memory (with the pages of mapped files, which the system takes back when it needs them), and
the SHA-256 of the artifact. With ``--before``, the other checkout runs each cell just before this one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy

from uvlp.artifacts.parts.parts import Parts, Plan, Share

WIDTH, CLUSTERS, SIDE, SEED = 768, 12, 8, 0
ROOT = Path(__file__).parents[2]
WORDS = [f"{first}{second}" for first in ("fur", "leg", "tail", "bark", "sky") for second in "abcdefgh"]


def unit(vectors: numpy.ndarray) -> numpy.ndarray:
    return vectors / numpy.linalg.norm(vectors, axis=-1, keepdims=True)


def fill(folder: Path, classes: int, rows: int) -> None:
    """Write features [classes * rows, ...] and captions, one class at a time."""
    draw = numpy.random.default_rng(SEED)
    shared, concepts = unit(draw.normal(size=(2, WIDTH))), unit(draw.normal(size=(classes, WIDTH)))
    names = unit(0.8 * shared[1] + 0.5 * concepts + 0.2 * unit(draw.normal(size=(classes, WIDTH))))
    shapes = {"image": (WIDTH,), "text": (WIDTH,), "mean": (4, SIDE, SIDE), "deviation": (4, SIDE, SIDE)}
    files = {
        name: numpy.lib.format.open_memmap(
            folder / f"{name}.npy",
            mode="w+",
            dtype=numpy.float16 if name in ("mean", "deviation") else numpy.float32,
            shape=(classes * rows, *shape),
        )
        for name, shape in shapes.items()
    }
    numpy.save(folder / "names.npy", names.astype(numpy.float32))
    with open(folder / "metadata.jsonl", "w", encoding="utf-8") as lines:
        for index in range(classes):
            of_class = slice(index * rows, (index + 1) * rows)
            groups = draw.integers(CLUSTERS, size=rows)
            parts = unit(draw.normal(size=(CLUSTERS, WIDTH)))[groups]
            noise = unit(draw.normal(size=(2, rows, WIDTH)))
            own = concepts[index]
            files["image"][of_class] = unit(0.6 * shared[0] + 0.4 * own + 0.3 * parts + 0.5 * noise[0])
            files["text"][of_class] = unit(0.7 * shared[1] + 0.4 * own + 0.2 * parts + 0.4 * noise[1])
            offsets = draw.normal(size=(CLUSTERS, 4, SIDE, SIDE))[groups]
            files["mean"][of_class] = 0.5 * offsets + 0.5 * draw.normal(size=(rows, 4, SIDE, SIDE))
            files["deviation"][of_class] = 0.1
            for row, group in enumerate(groups):
                words = [WORDS[(3 * group + number) % len(WORDS)] for number in draw.integers(6, size=9)]
                values = {"file_name": file_name(index, row), "text": " ".join(words)}
                lines.write(json.dumps(values) + "\n")
    (folder / "prompts.json").write_text("{}\n", encoding="utf-8")


def file_name(index: int, row: int) -> str:
    return f"train/{index}/{row:05}.png"


class Set:
    """A dataset that has names only: the stage reads no image."""

    def __init__(self, classes: int, rows: int) -> None:
        from uvlp.artifacts.dataset import ClassInfo

        infos = [
            ClassInfo(id=str(index), name=f"thing {index}", index=index, train=rows, val=0)
            for index in range(classes)
        ]
        self.manifest = SimpleNamespace(classes=infos)
        self._files = tuple(file_name(index, row) for index in range(classes) for row in range(rows))
        self._labels = tuple(index for index in range(classes) for _ in range(rows))

    def files(self, split: str) -> tuple[str, ...]:
        return self._files

    def labels(self, split: str) -> tuple[int, ...]:
        return self._labels


class Given:
    """What the stage asks of its `Work`."""

    def __init__(
        self,
        method: str,
        inputs: Path,
        folder: Path,
        classes: int,
        rows: int,
        ipc: int,
        share: Share | None = None,
    ) -> None:
        from uvlp.core.progress import Progress
        from uvlp.declarations.method import declared_method

        declared = declared_method(method)
        settings = declared.settings()
        parts = [*declared.reads(settings), *(["captions"] if declared.captions else [])]
        facts = {"method": method, "ipc": ipc, "seed": SEED}
        self.task = SimpleNamespace(facts=facts, inputs=dict.fromkeys(parts, inputs), settings=settings)
        self.folder, self.progress, self.share = folder, Progress(), share or Share()
        self._set = Set(classes, rows)

    def input(self, name: str) -> Path:
        path: Path = self.task.inputs[name]
        return path

    def dataset(self) -> Set:
        return self._set

    def parts(self) -> Parts:
        return Parts(self.folder, "key", print)

    def missing(self, parts: Parts, plan: Plan, what: str) -> list[range]:
        return parts.missing(plan, self.share)

    def note(self, notes: dict[str, int]) -> None:
        pass


class OwnMemory(threading.Thread):
    """Samples the process's memory without mapped files; ``peak`` in kB."""

    peak = 0

    def __init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while True:
            with open("/proc/self/status", encoding="utf-8") as lines:
                self.peak = max(self.peak, *(int(line.split()[1]) for line in lines if "RssAnon" in line))
            time.sleep(0.02)


def one(options: argparse.Namespace) -> dict[str, Any]:
    """Run the stage here: its cost, and the hash of what it wrote."""
    import threadpoolctl  # type: ignore[import-untyped]
    import torch

    from uvlp.stages import prototype

    torch.set_num_threads(1)
    memory = OwnMemory()
    with threadpoolctl.threadpool_limits(1), tempfile.TemporaryDirectory(dir=options.folder) as folder:
        (rows,) = options.rows
        (classes,) = options.classes
        work = Given(options.methods[0], Path(options.folder), Path(folder), classes, rows, options.ipc)
        memory.start()
        started, before = time.perf_counter(), time.process_time()
        prototype.run(work)  # type: ignore[arg-type]
        seconds, processor = time.perf_counter() - started, time.process_time() - before
        sha256 = hashlib.sha256()
        for path in filter(Path.is_file, sorted(Path(folder).iterdir())):
            sha256.update(path.read_bytes())
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "processor_s": processor,
        "seconds": seconds,
        "own_mb": memory.peak / 1e3,
        "resident_mb": resident / 1e3,
        "sha256": sha256.hexdigest(),
    }


def cell(tree: Path, folder: Path, method: str, classes: int, rows: int, ipc: int) -> dict[str, Any]:
    """`one` with the package of a checkout, in a new process."""
    command = [sys.executable, __file__, "--folder", str(folder), "--methods", method, "--one"]
    command += ["--classes", str(classes), "--rows", str(rows), "--ipc", str(ipc)]
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve())}
    finished = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    measured: dict[str, Any] = json.loads(finished.stdout.split("\n")[-2])
    return measured


def numbers(text: str) -> Sequence[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--before", type=Path, help="another checkout, measured beside this one")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=["uvlp"])
    parser.add_argument("--classes", type=numbers, default=[10, 100, 1000])
    parser.add_argument("--rows", type=numbers, default=[200], help="images per class")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--folder", help="where the features lie; default: a temporary folder")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options)))
        return
    trees = {"before": options.before, "after": ROOT} if options.before else {"now": ROOT}
    print("| method | classes x rows | tree | processor s | seconds | own MB | resident MB | sha256 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for rows in options.rows:
        for classes in options.classes:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                fill(Path(folder), classes, rows)
                for method in options.methods:
                    for name, tree in trees.items():
                        got = cell(tree, Path(folder), method, classes, rows, options.ipc)
                        print(
                            f"| {method} | {classes} x {rows} | {name} | {got['processor_s']:.1f} |"
                            f" {got['seconds']:.1f} | {got['own_mb']:.0f} | {got['resident_mb']:.0f} |"
                            f" {got['sha256'][:12]} |",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
