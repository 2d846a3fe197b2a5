"""What a finished store costs the next call: `uvlp reproduce` and `uvlp table` over many scores.

    git worktree add ../before COMMIT
    python -m benchmarks.runs.second_call --scores 100000 --runs 1 --before ../before
    python -m benchmarks.runs.second_call --scores 100000 --runs 100 --before ../before

The scores are random, put into a new store under the keys of real plans (digits, profile nano; each run has
seeds of its own). The first call after that reads and hashes every file; the ones after it find the hashes in
the store's cache. Each is called three times in a new process, in turn with the other checkout. A store that
is named stays, and is filled once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
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
from uvlp.artifacts.task import MANIFEST, Task, chain, manifest
from uvlp.core.hashing import file_sha256
from uvlp.pipeline import names
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

SEEDS = 5
DIFFERENT = 100
"""Different scores; more trainings repeat them."""


def fill(store: Store, run: int, repeats: int) -> None:
    """Store a random score for every training of a run's plan that has none."""
    request = Request(
        dataset="digits",
        ipc=10,
        methods=["random"],
        profile="nano",
        seeds=[str(seed) for seed in seeds(run)],
        repeats=repeats,
    )
    plan = prepare(names.check(resolve(request)), store, "tabulate")
    trainings = [task for task in chain(plan.goal) if task.kind == scores.KIND]
    for number, task in enumerate(trainings):
        if store.has(task):
            continue
        answers = score(number % DIFFERENT, plan.manifest.count("val"), "digits, 10 classes")
        put(store.folder(task), task, replace(answers, top5_best_pct=100.0, top5_last_pct=100.0))


def put(folder: Path, task: Task, answers: scores.Score) -> None:
    """Write a finished score without flushing it, which would take most of the time."""
    folder.mkdir(parents=True)
    scores.write(folder, answers)
    files = {scores.FILE: file_sha256(folder / scores.FILE)}
    content = manifest(task, files, {"at": "2026-01-01T00:00:00Z"})
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def seeds(run: int) -> range:
    return range(run * SEEDS, (run + 1) * SEEDS)


def cost(tree: Path, arguments: list[str]) -> tuple[float, float]:
    """Seconds and processor seconds of a call in a new process."""
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve())}
    command = [sys.executable, "-m", "uvlp", *arguments]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment, cwd=tree)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, processor


def show(title: str, costs: list[tuple[float, float]]) -> None:
    print(f"{title}: " + ", ".join(f"{wall:.2f} s ({own:.2f} s)" for wall, own in costs), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--scores", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=1, help="the scores belong to so many tables")
    parser.add_argument("--before", type=Path, help="another checkout, measured in turn with this one")
    parser.add_argument("--store", type=Path, help="keep the store there, and use what it has")
    options = parser.parse_args()
    here = Path(__file__).parents[2]
    trees = {"before": options.before, "after": here} if options.before else {"now": here}
    repeats = options.scores // options.runs // SEEDS
    kept = contextlib.nullcontext(options.store) if options.store else tempfile.TemporaryDirectory()
    with kept as root:
        store = Store(Path(root).absolute())
        store.prepare()
        for run in range(options.runs):
            fill(store, run, repeats)
        count = repeats * SEEDS * options.runs
        basic = ["--method", "random", "--profile", "nano", "--repeats", str(repeats)]
        basic += ["--store", str(store.root)]
        calls = [
            ["reproduce", "digits", "10", *basic, "--seed", ",".join(map(str, seeds(run)))]
            for run in range(options.runs)
        ]
        first = [cost(here, call) for call in calls]
        print(f"{count} scores in {options.runs} runs; seconds (processor seconds)")
        show(
            "the calls that make the tables", [(sum(wall for wall, _ in first), sum(own for _, own in first))]
        )
        name = next(f"{each['key']}" for each in manifests(store.root) if each["kind"] == "tables")
        others = {
            "reproduce": calls[0],
            "table": ["table", name, "--store", str(store.root)],
            "status": ["status", "--store", str(store.root)],
        }
        costs: dict[str, list[tuple[float, float]]] = {}
        for _ in range(3):
            for tree, path in trees.items():
                for title, call in others.items():
                    costs.setdefault(f"{title}, {tree}", []).append(cost(path, call))
        for title, each in sorted(costs.items()):
            show(title, each)
        show("help, for comparison", [cost(here, ["--help"])])


if __name__ == "__main__":
    main()
