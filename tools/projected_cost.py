"""The projected cost of four runs on one H200, and the same arithmetic for the published code.

    python -m tools.projected_cost

writes `paper_tables/projected_cost.md`; a test checks that it is up to date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.evaluation.evaluation_speed_report import table
from uvlp.artifacts.task import Task
from uvlp.core.wording import byte_size, duration
from uvlp.pipeline.estimates import assumptions, cards, distilling, report
from uvlp.pipeline.estimates.cost import HALF, SINGLE, Cost, RunContext
from uvlp.pipeline.estimates.distilling import FLOPS, LIVE, WEIGHTS, unet_calls
from uvlp.pipeline.estimates.stages import STAGES
from uvlp.pipeline.planning.planner import STAGES as ORDER
from uvlp.pipeline.published.runs import CARD, PROCESSES, PublishedRun

FILE = Path(__file__).resolve().parents[1] / "paper_tables" / "projected_cost.md"
RUNS = (("imagenette", 10), ("imagenette", 20), ("imagenette", 50), ("imagenet1k", 10))
CAPTIONS_PER_S = 0.18
CALLS_PER_S = 54.5
LOADERS, TRAIN_S, VALIDATE_S = (8, 4), 0.0091, 0.0043
EMBED_LOADERS = 4
ATTENTION_BYTES = 16 * 257**2 * 4
IMAGE_BYTES = 3 * 512**2 * 4
JSON_BYTES = 330_000
HEAD = """# Projected cost on one NVIDIA H200

**Projected from counted operations and cited rates of others; nothing here was measured on an H200.**
Written by `python -m tools.projected_cost`; `uvlp reproduce DATASET IPC --dry-run` prints the same for
any machine. Three seeds, and what the recipe runs: {methods}. Every stage is the sum over its artifacts;
memory is the most that one of them needs. Transfers, and the disk of the dataset and the published
models, are left out.

Ours, from the counts of `measured/benchmarks/flops.md`:

{ours}

The published code, with the same counts and shares unless stated otherwise:

- captions one at a time at 0.18 images a second, as the SGLang paper measured LLaVA's own code on an
  A10G or A100 (field_notes.md 3d);
- fine-tuning encodes every image in every epoch (methods.md B.2); same batch, same checkpointing;
- features are computed again for every method and seed and kept in memory, in UVLP's notebook by two passes
  through CLIP (methods.md F.1, F.2), four loader processes at 20 ms an image; UVLP holds every image in
  memory as float32, and puts a class through CLIP in one batch (F.1, F.3);
- synthesis one prototype at a time at 54.5 UNet calls with guidance a second, as stable-fast measured
  uncompiled on an H100 (field_notes.md 3a); the decoder at the same share;
- scores by the Minimax protocol wait for their loader processes: 9.1 ms a training image on 8, 4.3 ms a
  test image on 4 (evaluation.md 7, measured on another processor); those by RDED as ours;
- prototypes as JSON, 0.33 MB each (methods.md F.9); their time as ours.
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """The published code's cost of our artifacts."""

    context: RunContext

    def cost(self, task: Task) -> Cost:
        """Cost of one artifact where the published code differs; otherwise ours."""
        ours = STAGES[task.stage](task, self.context)
        match task.stage, task.plugin:
            case "caption", "llava":
                gpu = self.context.on_card(HALF * WEIGHTS["llava"], LIVE["llava_prefill"])
                return replace(ours, seconds=ours.items / CAPTIONS_PER_S, gpu_bytes=gpu)
            case "encode", _:  # part of the fine-tuning
                return Cost(items=0, unit="images", seconds=0.0, host_bytes=0.0)
            case "finetune", _:
                fresh = replace(task, settings=replace(task.settings, cache_latents=False))
                return distilling.finetune(fresh, self.context)
            case "synthesise", _ if "prototypes" in task.inputs:
                return self._synthesis(task, ours)
            case "evaluate", "minimax":
                train = ours.items * TRAIN_S / LOADERS[0]
                passes = task.settings.validations * self.context.size.val
                return replace(ours, seconds=train + passes * VALIDATE_S / LOADERS[1])
            case "prototype", _:
                images = self.context.size.classes * self.context.recipe.ipc
                return replace(ours, disk_bytes=images * JSON_BYTES)
        return ours

    def _synthesis(self, task: Task, ours: Cost) -> Cost:
        calls = unet_calls(task.settings) + FLOPS["vae_decode"] / FLOPS["unet_pair"]
        weights = HALF * (WEIGHTS["unet"] + WEIGHTS["vae"] + WEIGHTS["text"])
        gpu = self.context.on_card(weights, max(LIVE["unet_pair"], LIVE["vae_decode"]))
        return replace(ours, seconds=ours.items * calls / CALLS_PER_S, gpu_bytes=gpu)

    def embedding(self, method: str) -> Cost:
        """Features of one run of a method."""
        images, context = self.context.size.train, self.context
        passes = 2 if method == "uvlp" else 0
        clip = context.seconds(FLOPS["clip_image"], context.machine.single, assumptions.SINGLE_SHARE)
        encode = context.seconds(FLOPS["vae_encode"], context.machine.half, assumptions.ENCODE_SHARE)
        read = max(1, passes) * assumptions.DECODE_S.value / EMBED_LOADERS
        per_class = images / context.size.classes
        weights = HALF * WEIGHTS["vae"] + (SINGLE * WEIGHTS["clip"] if passes else 0)
        maps = max(16 * LIVE["vae_encode"], per_class * ATTENTION_BYTES if passes else 0)
        held = images * IMAGE_BYTES if passes else images * 32_768
        return Cost(
            items=images,
            unit="images",
            seconds=images * max(passes * clip + encode, read),
            gpu_bytes=context.on_card(weights, maps),
            host_bytes=assumptions.PROCESS_BYTES + held,
        )


def costs(dataset: str, ipc: int) -> dict[str, tuple[list[Cost], list[Cost]]]:
    """Our costs and the published code's by stage, of one run."""
    plan = PublishedRun(dataset, ipc).plan()
    assert plan.size is not None
    context = RunContext(plan.recipe, plan.size, cards.named(CARD))
    reference = Reference(context)
    found: dict[str, tuple[list[Cost], list[Cost]]] = {}
    for task in plan.tasks:
        if task.stage in STAGES:
            ours, theirs = found.setdefault(task.stage, ([], []))
            ours.append(STAGES[task.stage](task, context))
            if task.stage != "embed":
                theirs.append(reference.cost(task))
    if "embed" in found:
        made = [method for method in plan.recipe.methods if method in ("d4m", "vlcp", "uvlp")]
        found["embed"][1].extend(reference.embedding(method) for method in made for _ in plan.recipe.seeds)
    return {stage: found[stage] for stage in ORDER if stage in found}


def _cells(costs: list[Cost]) -> list[str]:
    sizes = [
        max(cost.gpu_bytes for cost in costs),
        max(cost.host_bytes for cost in costs),
        sum(cost.disk_bytes for cost in costs) + max(cost.scratch_bytes for cost in costs),
    ]
    seconds = sum(cost.seconds or 0.0 for cost in costs)
    return [
        duration(seconds) if seconds else "-",
        *(byte_size(round(size)) if size else "-" for size in sizes),
    ]


def section(dataset: str, ipc: int) -> str:
    """The table of one run."""
    found = costs(dataset, ipc)
    rows = [[stage, *_cells(ours), *_cells(theirs)] for stage, (ours, theirs) in found.items()]
    every = [[cost for pair in found.values() for cost in pair[side]] for side in (0, 1)]
    rows.append(["**all**", *_cells(every[0]), *_cells(every[1])])
    names = ("time", "GPU memory", "memory", "disk")
    head = ["stage", *names, *(f"published code: {name}" for name in names)]
    return f"## {dataset} at {ipc} images per class\n\n{table(head, rows)}"


def text() -> str:
    """Contents of the file."""
    plan = PublishedRun(*RUNS[0]).plan()
    estimate = report.estimate(plan, cards.named(CARD), workers=PROCESSES)
    ours = "\n".join(
        f"- {line}" + (";" if line != estimate.rests_on[-1] else ".") for line in estimate.rests_on
    )
    head = HEAD.format(methods=", ".join(plan.recipe.methods), ours=ours)
    return "\n".join([head, *(section(*run) for run in RUNS)])


def main() -> None:
    """Write it."""
    FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
