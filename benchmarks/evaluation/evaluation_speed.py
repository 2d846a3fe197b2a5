"""Our Minimax evaluator against the slow one and against its network passes alone, all in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.evaluation.evaluation_speed [--record]
    python -m benchmarks.evaluation.evaluation_speed --device cuda [--network convnet-6] [--workers 8 4]
        [--record]

On a CPU: the digits at 16 and 32 px. On a GPU: 224 px, 100 training images of 256 px and 3,925
validation images of 500 x 375 px, all of random pixels (`--synthetic` on a CPU). The three sides
alternate, each at least five times, with 2 validation passes in 30 or 40 epochs; the medians per
epoch and per pass, and the one-time overhead, are scaled to the full schedule. `--record` writes the
report to paper_tables/measured/benchmarks.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy
import torch
from torch.nn.functional import cross_entropy

from benchmarks.evaluation.evaluation_speed_report import HEAD, case_report
from benchmarks.parity import facts, images
from benchmarks.parity.slow_evaluator import evaluate_slowly
from benchmarks.parity.study import processor_s
from uvlp.core import machine
from uvlp.core.plugins import load
from uvlp.core.progress import Progress
from uvlp.datasets import digits
from uvlp.networks.parts.names import split_network
from uvlp.protocols.minimax import evaluate
from uvlp.protocols.training.images import Images, Prepared
from uvlp.recipes.evaluation import EvaluateSettings

T = TypeVar("T")

CLASSES, IPC = 10, 10
PAPER_SCHEDULE = (2000, 100)
VALIDATION_IMAGES = 3925  # fast.ai's ImageNette
SOURCES = (256, 256), (375, 500)
DISTINCT = 256  # random pictures that the synthetic sets repeat; their pixels do not matter to the time
VALIDATION_PART = 256


class Clock(Progress):
    """Takes the time between the epochs of whatever tracks them; waits for the GPU to be exact."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.marks = device, list[float]()

    def track(self, items: Iterable[T], what: str = "", total: int | None = None) -> Iterator[T]:
        """Yield ``items`` and note the time before each and after the last."""
        for item in items:
            self.marks.append(self.now())
            yield item
        self.marks.append(self.now())

    def now(self) -> float:
        """Seconds after the GPU has finished its work."""
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()


class Utilisation:
    """Samples of the GPU's utilisation while the block runs, percent, with their times."""

    def __enter__(self) -> Utilisation:
        self.samples: list[tuple[float, float]] = []
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
        self._process = subprocess.Popen(query, stdout=subprocess.PIPE, encoding="utf-8")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip().isdecimal():  # a part of a GPU has no utilisation
                self.samples.append((time.perf_counter(), float(line)))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def mean(self, since: float, until: float) -> float:
        """Mean of the samples between two times; not a number without any."""
        values = [value for moment, value in self.samples if since <= moment <= until]
        return statistics.mean(values) if values else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One problem: images, network, the short schedule that is run and the one it is scaled to."""

    title: str
    network: str
    train: Images
    validation: Images
    settings: EvaluateSettings
    schedule: tuple[int, int]
    device: str
    workers: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One short run, seconds: the mean epoch of its last period, its last pass, and what came once."""

    epoch_s: float
    pass_s: float
    once_s: float
    processor_s: float
    utilisation_pct: float
    memory_mb: float

    def whole_s(self, schedule: tuple[int, int]) -> float:
        """Scaled to a schedule of epochs and validation passes."""
        return self.once_s + schedule[0] * self.epoch_s + schedule[1] * self.pass_s


def time_run(case: Case, work: Callable[[Clock], object]) -> Timing:
    """Run ``work``, which tracks its epochs with the clock passed to it."""
    on_gpu = case.device != "cpu"
    clock = Clock(case.device)
    started, processor = clock.now(), processor_s()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        with Utilisation() as utilisation:
            work(clock)
    else:
        work(clock)
    total_s = clock.now() - started
    epochs, passes = case.settings.epochs, case.settings.validations
    assert len(clock.marks) == epochs + 1, "epochs are tracked once and one by one"
    period = epochs // passes
    lengths = numpy.diff(clock.marks)[-period:]
    epoch_s = float(lengths[:-1].mean())
    pass_s = max(0.0, float(lengths[-1]) - epoch_s)
    return Timing(
        epoch_s=epoch_s,
        pass_s=pass_s,
        once_s=max(0.0, total_s - epochs * epoch_s - passes * pass_s),
        processor_s=processor_s() - processor,
        utilisation_pct=utilisation.mean(clock.marks[-period - 1], clock.marks[-1]) if on_gpu else 0.0,
        memory_mb=torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0,
    )


def slow(case: Case) -> Timing:
    """The evaluator of the parity study."""
    return time_run(
        case,
        lambda clock: evaluate_slowly(
            case.train,
            case.validation,
            network=case.network,
            classes=CLASSES,
            settings=case.settings,
            seed=0,
            workers=case.workers,
            device=case.device,
            progress=clock,
        ),
    )


def ours(case: Case, validation: Prepared) -> Timing:
    """The evaluator of the package, on validation images that were prepared before."""
    return time_run(
        case,
        lambda clock: evaluate(
            case.train,
            validation,
            network=case.network,
            classes=CLASSES,
            ipc=IPC,
            settings=case.settings,
            seed=0,
            progress=clock,
            device=case.device,
        ),
    )


def floor(case: Case) -> Timing:
    """Forward, backward and validation forward of the network alone, on prepared batches."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
        return time_run(case, lambda clock: network_passes(case, clock))


def network_passes(case: Case, clock: Clock) -> None:
    """The passes of the short schedule."""
    settings, device = case.settings, case.device
    family, depth = split_network(case.network)
    build = load("networks", family).build
    network = build(depth, classes=CLASSES, size_px=settings.size_px, width=settings.width).to(device)
    sizes = [len(part) for part in torch.arange(len(case.train.labels)).split(settings.batch)]
    shape = (3, settings.size_px, settings.size_px)
    batches = [
        (torch.randn(size, *shape, device=device), torch.arange(size, device=device) % CLASSES)
        for size in sizes
    ]
    parts = torch.randn(len(case.validation.labels), *shape, device=device).split(VALIDATION_PART)
    for epoch in clock.track(range(1, settings.epochs + 1)):
        for batch, labels in batches:
            network.zero_grad()
            cross_entropy(network(batch), labels).backward()
        if epoch % (settings.epochs // settings.validations) == 0:
            with torch.inference_mode():
                for part in parts:
                    network(part)


@dataclass(slots=True)
class Measured:
    """All runs of a case, and the seconds that our side took to prepare the validation images once."""

    case: Case
    preparation_s: float
    runs: dict[str, list[Timing]] = field(default_factory=lambda: {"slow": [], "ours": [], "floor": []})
    busy_pct: float = 0.0

    def median(self, side: str, name: str) -> float:
        """Median of one figure of a side."""
        return statistics.median(getattr(run, name) for run in self.runs[side])

    def whole_s(self, side: str) -> float:
        """Median of the runs scaled to the full schedule; ours with its preparation."""
        once = self.preparation_s if side == "ours" else 0.0
        return once + statistics.median(run.whole_s(self.case.schedule) for run in self.runs[side])


def measure(case: Case, repetitions: int) -> Measured:
    """The three sides in turn."""
    started = time.perf_counter()
    validation = images.prepared(case.validation, case.settings.size_px)
    measured = Measured(case, time.perf_counter() - started)
    for number in range(repetitions):
        for side, run in (("slow", lambda: slow(case)), ("ours", lambda: ours(case, validation))):
            measured.runs[side].append(run())
        measured.runs["floor"].append(floor(case))
        done = {side: round(runs[-1].whole_s(case.schedule), 1) for side, runs in measured.runs.items()}
        print(
            f"{case.title}, {case.network}, {number + 1} of {repetitions}, full schedule: {done}", flush=True
        )
    if case.device != "cpu":
        # Forty epochs of ours are over before the driver's counter has moved.
        longer = replace(case.settings, epochs=10 * case.settings.epochs)
        measured.busy_pct = ours(replace(case, settings=longer), validation).utilisation_pct
    return measured


def digits_cases(options: argparse.Namespace) -> Iterator[Case]:
    """The digits with the settings of their recipe, at 16 and 32 px."""
    dataset = images.open_dataset("digits")
    recipe = digits.recipe(IPC)
    train, validation = images.training_images(dataset, IPC, 0), images.validation_images(dataset)
    for size_px in options.size_px or (recipe.evaluate.size_px, 32):
        settings = replace(recipe.evaluate, size_px=size_px)
        schedule = settings.epochs, settings.validations
        for network in options.network or recipe.networks:
            yield Case(
                title=f"digits, {size_px} px",
                network=network,
                train=train,
                validation=validation,
                settings=replace(settings, epochs=options.epochs or 30, validations=2),
                schedule=schedule,
                device=options.device,
                workers=tuple(options.workers),
            )


def synthetic_cases(options: argparse.Namespace) -> Iterator[Case]:
    """Random pixels at the size and number of ImageNette's images, the paper's settings."""
    generator = numpy.random.default_rng(0)
    train, validation = (
        random_images(generator, count, shape)
        for count, shape in zip((CLASSES * IPC, options.validation_images), SOURCES, strict=True)
    )
    for size_px in options.size_px or (224,):
        settings = EvaluateSettings(size_px=size_px, epochs=options.epochs or 40, validations=2)
        for network in options.network or ("convnet-6", "resnet-18", "resnet-ap-10"):
            yield Case(
                title=f"random pixels, {size_px} px",
                network=network,
                train=train,
                validation=validation,
                settings=settings,
                schedule=PAPER_SCHEDULE,
                device=options.device,
                workers=tuple(options.workers),
            )


def random_images(generator: numpy.random.Generator, count: int, shape: tuple[int, int]) -> Images:
    """``count`` images of height and width ``shape``, which repeat a few pictures."""
    pictures = [
        generator.integers(0, 256, (*shape, 3), dtype=numpy.uint8) for _ in range(min(count, DISTINCT))
    ]
    pixels = [pictures[row % len(pictures)] for row in range(count)]
    return Images(pixels=pixels, labels=numpy.arange(count) % CLASSES)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--synthetic", action="store_true", help="random pixels on a CPU, too")
    parser.add_argument("--network", action="append", help="may be repeated")
    parser.add_argument("--size-px", type=int, action="append", help="may be repeated")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of the short schedule")
    parser.add_argument("--validation-images", type=int, default=VALIDATION_IMAGES)
    parser.add_argument("--workers", type=int, nargs=2, default=(2, 2), help="the slow side's loaders")
    parser.add_argument("--record", action="store_true", help="write the report")
    return parser.parse_args()


def command_line(options: argparse.Namespace) -> str:
    """The options that differ from the defaults, as they are typed."""
    arguments = ["--device cuda"] if options.device != "cpu" else []
    arguments += ["--synthetic"] if options.synthetic else []
    arguments += [f"--network {network}" for network in options.network or ()]
    arguments += [f"--size-px {size_px}" for size_px in options.size_px or ()]
    arguments += ["--workers {} {}".format(*options.workers)] if tuple(options.workers) != (2, 2) else []
    arguments += [f"--epochs {options.epochs}"] if options.epochs else []
    shortened = options.validation_images != VALIDATION_IMAGES
    arguments += [f"--validation-images {options.validation_images}"] if shortened else []
    arguments += [f"--repetitions {options.repetitions}"] if options.repetitions != 5 else []
    return "".join(f" {argument}" for argument in arguments)


def main() -> None:
    """Measure, print, and write with --record."""
    options = parsed()
    machine.single_thread()
    synthetic = options.synthetic or options.device != "cpu"
    text = HEAD.format(
        repetitions=options.repetitions,
        hardware=facts.hardware(options.device),
        versions=facts.versions(),
        commit=facts.commit(),
        load=facts.load(),
        arguments=command_line(options),
    )
    for case in synthetic_cases(options) if synthetic else digits_cases(options):
        text += case_report(measure(case, options.repetitions))
    print(text)
    if options.record:
        folder = facts.MEASURED / "benchmarks"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"evaluation_speed_{options.device}.md"
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
