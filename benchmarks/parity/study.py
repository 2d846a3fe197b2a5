"""Compare the accuracies of our evaluator and the slow one over many trainings on both sides.

    OMP_NUM_THREADS=1 python -m benchmarks.parity.study [--runs 16] [--processes 2] [--at-most 20]
    python -m benchmarks.parity.study --dataset folder:PATH --device cuda --runs 8 --set epochs=100

Both sides train the same network on the same images for the same short schedule, in turn. Every finished
run is a line of NAME.jsonl, so the same command resumes a stopped study, and more runs can be added
later; the report NAME.md is updated after every call.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.parity import facts
from benchmarks.parity.report import report
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive
from uvlp.recipes import overrides
from uvlp.recipes.evaluation import EvaluateSettings

SIDES = ("slow", "ours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all runs of one study share; a run of another setup is not mixed in."""

    dataset: str
    ipc: int
    network: str
    settings: EvaluateSettings
    device: str
    workers: tuple[int, int]

    def facts(self) -> dict[str, Any]:
        """The setup as stored in every line, without the folder's path, which may change."""
        return json.loads(json.dumps(asdict(self) | {"dataset": self.dataset.partition(":")[0]}))


def run_once(setup: Setup, side: str, number: int) -> dict[str, Any]:
    """One training; the seed of run ``number`` differs between the sides."""
    from benchmarks.parity import images

    single_thread()
    dataset = images.open_dataset(setup.dataset)
    train, validation = images.training_images(dataset, setup.ipc, 0), images.validation_images(dataset)
    started, processor = time.perf_counter(), processor_s()
    evaluate = {"slow": _slow, "ours": _ours}[side]
    result = evaluate(setup, number, train, validation, len(dataset.manifest.classes))
    return {
        "side": side,
        "run": number,
        "best_pct": result.best_pct,
        "best_epoch": result.best_epoch,
        "last_pct": result.last_pct,
        "curve": [pct for _, pct in result.curve],
        "wall_s": round(time.perf_counter() - started, 2),
        "processor_s": round(processor_s() - processor, 2),
        "commit": facts.commit(),
        "setup": setup.facts(),
    }


def _slow(setup: Setup, number: int, train: Any, validation: Any, classes: int) -> Any:
    from benchmarks.parity.slow_evaluator import evaluate_slowly

    return evaluate_slowly(
        train,
        validation,
        network=setup.network,
        classes=classes,
        settings=setup.settings,
        seed=number,
        workers=setup.workers,
        device=setup.device,
    )


def _ours(setup: Setup, number: int, train: Any, validation: Any, classes: int) -> Any:
    from benchmarks.parity.images import prepared
    from uvlp.protocols.minimax import evaluate

    return evaluate(
        train,
        prepared(validation, setup.settings.size_px),
        network=setup.network,
        classes=classes,
        ipc=setup.ipc,
        settings=setup.settings,
        seed=derive(number, "parity"),
        progress=Progress(),
        device=setup.device,
    )


def single_thread() -> None:
    """As in the product: one thread per process."""
    from uvlp.core import machine

    machine.single_thread()


def processor_s() -> float:
    """Processor time of this process and its finished children, seconds."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def finished(path: Path, setup: Setup) -> list[dict[str, Any]]:
    """The lines of ``path``.

    Raises:
        UvlpError: they come from another setup.
    """
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if any(line["setup"] != setup.facts() for line in lines):
        raise UvlpError(f"{path.name} holds runs of other settings", fix="choose another --name")
    return lines


def run_missing(path: Path, setup: Setup, runs: int, processes: int, at_most: int) -> None:
    """Run what is not in ``path``, sides in turn, and append every result as soon as it is there."""
    done = {(line["side"], line["run"]) for line in finished(path, setup)}
    missing = [(side, number) for number in range(runs) for side in SIDES if (side, number) not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool, path.open("a", encoding="utf-8") as file:
        pending = [pool.submit(run_once, setup, *job) for job in missing[:at_most]]
        for future in as_completed(pending):
            line = future.result()
            file.write(json.dumps(line) + "\n")
            file.flush()
            print(
                f"{line['side']} {line['run']}: best {line['best_pct']:.2f}, {line['wall_s']} s", flush=True
            )


def chosen_setup(options: argparse.Namespace) -> Setup:
    """The recipe's settings for its dataset, changed by ``--set``."""
    name = options.dataset.partition(":")[0]
    settings = plugins.load("datasets", name).recipe(options.ipc).evaluate
    for assignment in options.set:
        key, _, value = assignment.partition("=")
        settings = overrides.apply(settings, key, value)
    return Setup(
        dataset=options.dataset,
        ipc=options.ipc,
        network=options.network,
        settings=settings,
        device=options.device,
        workers=tuple(options.workers),
    )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="digits", help="digits or folder:PATH")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--network", default="convnet-3")
    parser.add_argument("--set", action="append", default=[], help="a setting of the evaluation, KEY=VALUE")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--runs", type=int, default=16, help="trainings per side")
    parser.add_argument("--processes", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--workers", type=int, nargs=2, default=(2, 2), help="the slow side's loaders")
    parser.add_argument("--at-most", type=int, default=10_000, help="trainings in this call")
    parser.add_argument("--name", default="digits", help="of the files")
    parser.add_argument("--note", default="", help="a line for the report, e.g. why there are more runs")
    parser.add_argument("--output", type=Path, default=facts.MEASURED / "parity")
    return parser.parse_args()


def command_line(options: argparse.Namespace) -> str:
    """What repeats the study, without the folders of this machine."""
    name, _, path = options.dataset.partition(":")
    arguments = [f"--dataset {name}:{Path(path).name}"] if path else []
    arguments += [f"--{key} {getattr(options, key)}" for key in ("network", "device", "runs")]
    return " ".join(
        ["python -m benchmarks.parity.study", *arguments, *(f"--set {change}" for change in options.set)]
    )


def main() -> None:
    """Run what is missing and write the report."""
    options = parsed()
    setup = chosen_setup(options)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{options.name}.jsonl"
    run_missing(path, setup, options.runs, options.processes, options.at_most)
    text = report(finished(path, setup), setup.facts(), command_line(options), options.note)
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
