"""What a finished store costs the next call: `uvlp reproduce` and `uvlp table` over thousands of scores.

    python -m benchmarks.second_call [--scores 5000]

The scores are random, put into a new store under the keys of a real plan (digits, profile nano). The
first call after that reads and hashes every file; the ones after it find the hashes in the store's cache.
Each is called three times in a new process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.portable.hashes import manifests
from tests.stored_tables import score
from uvlp.artifacts import scores
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import chain
from uvlp.pipeline import names
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

SEEDS = 5


def fill(root: Path, repeats: int) -> int:
    """Store a random score for every training of the plan; how many."""
    request = Request(
        dataset="digits",
        ipc=10,
        methods=["random"],
        profile="nano",
        seeds=[str(seed) for seed in range(SEEDS)],
        repeats=repeats,
    )
    store = Store(root)
    store.prepare()
    plan = prepare(names.check(resolve(request)), store, "tabulate")
    trainings = [task for task in chain(plan.goal) if task.kind == scores.KIND]
    for number, task in enumerate(trainings):
        with store.making(task, print) as folder:
            assert folder is not None
            answers = score(number, plan.manifest.count("val"), "digits, 10 classes")
            scores.write(folder, replace(answers, top5_best_pct=100.0, top5_last_pct=100.0))
            store.commit(task, folder, {"at": "2026-01-01T00:00:00Z"})
    return len(trainings)


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "uvlp", *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scores", type=int, default=5000)
    repeats = parser.parse_args().scores // SEEDS
    with tempfile.TemporaryDirectory() as root:
        count = fill(Path(root), repeats)
        options = ["--method", "random", "--profile", "nano", "--repeats", str(repeats), "--store", root]
        reproduce = ["reproduce", "digits", "10", *options, "--seed", ",".join(map(str, range(SEEDS)))]
        made = seconds(reproduce)
        (name,) = (each["facts"]["name"] for each in manifests(Path(root)) if each["kind"] == "tables")
        print(f"{count} scores; the call that makes the table: {made:.2f} s")
        for title, arguments in {"reproduce": reproduce, "table": ["table", name, "--store", root]}.items():
            print(f"{title}: " + ", ".join(f"{seconds(arguments):.2f} s" for _ in range(3)))
        print(f"help, for comparison: {seconds(['--help']):.2f} s")


if __name__ == "__main__":
    main()
