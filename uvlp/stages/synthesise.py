"""synthesise: prototypes -> images by latents2img, or the real images that a method selects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvlp.artifacts import distilled, features, prototypes
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.parts import images as part_images
from uvlp.artifacts.parts.parts import Plan
from uvlp.artifacts.work import Work
from uvlp.declarations.method import MethodDeclaration, declared_method

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.prototypes import Prototype
    from uvlp.models.sampling.synthesis import Synthesis


def run(work: Work) -> None:
    """Write `distilled` with the task's method, or a share of its images."""
    method = declared_method(work.task.facts["method"])
    if method.select is not None:
        _select(work, method)
    else:
        _synthesise(work, method)


def _select(work: Work, method: MethodDeclaration) -> None:
    from uvlp.methods.algorithms.method_input import build
    from uvlp.methods.algorithms.returned import check_rows

    dataset, facts = work.dataset(), work.task.facts
    inputs = work.task.inputs
    arrays = features.read({part: work.input(part) for part in features.PARTS if part in inputs})
    method_input = build(dataset, facts.get("ipc", 0), facts.get("seed", 0), arrays, file=method.origin.file)
    assert method.select is not None, method.origin.file
    whole_set = method.whole_set
    returned = method.select(method_input, work.task.settings, work.progress)
    chosen = check_rows(returned, method_input, method.origin.file, whole_set=whole_set)
    entries, rows = [], []
    for info, picked in zip(dataset.manifest.classes, chosen, strict=True):
        for slot, row in enumerate(picked):
            entries.append(
                _real(info, "" if whole_set else f"{info.id}/{slot:05d}.png", dataset.files("train")[row])
            )
            rows.append(row)
    shown = distilled.sheet_rows(entries)
    images = [] if whole_set else dataset.originals("train", rows)
    sheet = dataset.originals("train", [rows[index] for index in shown])
    distilled.write(work.folder, entries, images, sheet)


def _real(info: Any, file_name: str, source: str) -> Entry:
    return Entry(file_name=file_name, label=info.index, class_id=info.id, class_name=info.name, source=source)


def _synthesise(work: Work, method: MethodDeclaration) -> None:
    latents, described = prototypes.read(work.input("prototypes"))
    classes = {info.id: info for info in work.dataset().manifest.classes}
    entries = [
        Entry(
            file_name=f"{prototype.class_id}/{prototype.slot:05d}.png",
            label=classes[prototype.class_id].index,
            class_id=prototype.class_id,
            class_name=classes[prototype.class_id].name,
            text=prototype.text,
        )
        for prototype in described
    ]
    from uvlp.models.device import device_and_dtype

    parts = work.parts()
    device, dtype = device_and_dtype(work.task.facts.get("precision", "float32"))
    plan = parts.recorded(device, dtype)
    missing = work.missing(parts, plan, "images") if plan else []
    if plan is None or missing:
        synthesis = _loaded(work, method.long_prompts, latents, described, entries)
        if plan is None:
            plan = parts.begin(synthesis.plan(device, dtype))
            missing = work.missing(parts, plan, "images")
        made = synthesis.make(parts, plan, missing, work.progress.log)
        for _ in work.progress.track(made, total=sum(map(len, missing))):
            pass
    if not work.share.publishes:
        return
    part_images.publish([parts.folder(part.start) for part in plan.parts(work.share)], work.folder)
    shown = distilled.sheet_rows(entries)
    if len(classes) > distilled.SHEET_CLASSES:
        work.progress.log(f"{distilled.SHEET}: the first {distilled.SHEET_CLASSES} of {len(classes)} classes")
    sheet = (distilled.read_image(work.folder, entries[row]) for row in shown)
    distilled.finish(work.folder, entries, sheet)
    work.note({**_notes(work.task.settings, plan, len(entries)), **parts.counts()})


def _loaded(
    work: Work,
    long_prompts: bool,
    latents: numpy.ndarray,
    described: list[Prototype],
    entries: list[Entry],
) -> Synthesis:
    """Return the synthesis with its models."""
    from uvlp.core import machine
    from uvlp.models.device import torch_dtype
    from uvlp.models.sampling.sampler import Sampler
    from uvlp.models.sampling.synthesis import Synthesis

    device = machine.device()
    dtype = torch_dtype(work.task.facts.get("precision", "float32"), device)
    return Synthesis(
        sampler=Sampler.load(work.model_path("diffuser"), device, dtype),
        settings=work.task.settings,
        seed=work.task.facts["seed"],
        long_prompts=long_prompts,
        latents=latents,
        prototypes=described,
        entries=entries,
    )


def _notes(settings: Any, plan: Plan, count: int) -> dict[str, Any]:
    """Notes on differences from a CPU in float32 with the batch of the settings."""
    notes: dict[str, Any] = {}
    if plan.dtype != "float32":
        notes[f"images synthesised in {plan.dtype}"] = count
    if plan.batch != settings.batch:
        notes["images synthesised at once"] = plan.batch
    if settings.size_px:
        notes[f"images resized to {settings.size_px} px"] = count
    if settings.noise == "published" and plan.device == "cpu":
        notes["images from the published noise stream as a CPU draws it; a GPU draws other numbers"] = count
    return notes
