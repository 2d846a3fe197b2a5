"""The complete pipeline at full size with random weights: its time and memory on this machine.

    python -m benchmarks.runs.full_chain FOLDER [--llava] [--train 4] [--ipc 1] [--set ...] [--record]

`uvlp reproduce` with profile sd15 on a few drawn photographs in two classes and on the published
architectures with random weights, whose folders are made in FOLDER first (`full_folders`) and kept. This
shows that every stage loads and runs models of the real size and format, and what it needs. The images
are meaningless. `--record` writes the report to paper_tables/measured/benchmarks.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.embedding.embed_images import write_photographs
from benchmarks.evaluation.evaluation_speed_report import table
from benchmarks.parity import facts
from benchmarks.runs import full_folders
from uvlp.core import machine

CLASSES = 2
METHODS = "random,d4m,uvlp"
SHORT = {"finetune.epochs": 1, "evaluate.epochs": 10, "evaluate.validations": 2}
"""Loops are shortened."""
HEAD = """# The complete pipeline at full size

Stable Diffusion 1.5, CLIP ViT-L/14{llava} in the files of the published ones, with random weights; {train}
photographs of 500 x 375 px in {classes} classes, IPC {ipc}, methods {methods}; one pass of fine-tuning and
ten epochs of evaluation. One process; seconds and peaks are from the manifests of the results.

- Hardware: {hardware}; {versions}
- Commit: {commit}; load average at the start {load}
- Command: `python -m benchmarks.runs.full_chain FOLDER{arguments}`

"""


def run(options: argparse.Namespace, store: Path) -> dict[str, Any]:
    """Run the pipeline; return its JSON output."""
    names = ["diffusion", "clip", *(["llava"] if options.llava else [])]
    models = full_folders.make(options.folder, names)
    photographs = options.folder / f"photographs-{options.train}"
    if not photographs.is_dir():
        write_photographs(photographs, options.train, CLASSES)
    settings = {
        "models.diffusion": models["diffusion"],
        "models.clip": f"local-dir:{models['clip']}",
        "caption.captioner": "llava" if options.llava else "colours",
        **({"models.llava": models["llava"]} if options.llava else {}),
        **SHORT,
    }
    overrides = [f"--set={name}={value}" for name, value in settings.items()]
    overrides += [f"--set={pair}" for pair in options.set]
    chain = ["reproduce", f"folder:{photographs}", str(options.ipc), "--profile", "sd15", "--offline"]
    chain += ["--method", METHODS, "--repeats", "1", "--workers", "1", "--json", "--store", str(store)]
    ran = subprocess.run(
        [sys.executable, "-m", "uvlp", *chain, *overrides],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def report(printed: dict[str, Any], store: Path) -> str:
    """A row per result, in the order in which they were made."""
    rows = []
    for title, path in printed["artifacts"].items():
        made = json.loads((store / path / "manifest.json").read_text(encoding="utf-8"))["made"]
        gpu = made["gpu_peak_memory_mb"]
        rows.append(
            (
                made["at"],
                [title, f"{made['seconds']:.1f}", f"{made['peak_memory_mb']:,}", f"{gpu:,}" if gpu else ""],
            )
        )
    head = ["", "seconds", "peak memory so far, MB", "peak GPU memory, MB"]
    return table(head, [row for _, row in sorted(rows)])


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for 6 GB of models, 20 GB with LLaVA")
    parser.add_argument("--llava", action="store_true", help="captions of LLaVA-1.5-7B; else of `colours`")
    parser.add_argument("--train", type=int, default=4, help="training images")
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as of `uvlp`")
    parser.add_argument("--record", action="store_true", help="write the report")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    options.folder = options.folder.resolve()
    load = facts.load()
    device = machine.device()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        store = Path(scratch)
        result = report(run(options, store), store)
    flags = {"--train": options.train, "--ipc": options.ipc}
    arguments = " --llava" if options.llava else ""
    arguments += "".join(f" {flag} {value}" for flag, value in flags.items())
    arguments += "".join(f" --set {pair}" for pair in options.set)
    text = HEAD.format(
        llava=", LLaVA-1.5-7B" if options.llava else "",
        train=options.train,
        classes=CLASSES,
        ipc=options.ipc,
        methods=METHODS,
        hardware=facts.hardware(device),
        versions=facts.versions(),
        commit=facts.commit(),
        load=load,
        arguments=arguments,
    )
    print(text + result)
    if options.record:
        where = (machine.gpu_name() if device == "cuda" else None) or "cpu"
        name = re.sub(r"[^a-z0-9]+", "-", where.lower())
        path = facts.MEASURED / "benchmarks" / f"full_chain_{name}.md"
        path.write_text(text + result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
