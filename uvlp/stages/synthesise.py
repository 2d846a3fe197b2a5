"""synthesise: prototypes -> images by latents2img, or real images where the method selects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvlp.artifacts import distilled, features, prototypes
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.work import Work
from uvlp.core import plugins

if TYPE_CHECKING:
    import numpy
    import torch

    from uvlp.artifacts.prototypes import Prototype


def run(work: Work) -> None:
    """Write `distilled` with the method named by the task."""
    method = plugins.load("methods", work.task.facts["method"])
    if hasattr(method, "select"):
        _select(work, method)
    else:
        _synthesise(work, method)


def _select(work: Work, method: Any) -> None:
    from uvlp.blocks.problem import build

    dataset, facts = work.dataset(), work.task.facts
    inputs = work.task.inputs
    arrays = features.read({part: work.input(part) for part in features.PARTS if part in inputs})
    problem = build(dataset, facts.get("ipc", 0), facts.get("seed", 0), arrays)
    chosen = method.select(problem, work.task.settings, work.progress)
    whole = getattr(method, "WHOLE_SET", False)
    entries, rows = [], []
    for info, picked in zip(dataset.manifest.classes, chosen, strict=True):
        for slot, row in enumerate(picked):
            entries.append(
                _real(info, "" if whole else f"{info.id}/{slot:05d}.png", dataset.files("train")[row])
            )
            rows.append(row)
    shown = distilled.sheet_rows(entries)
    images = [] if whole else dataset.originals("train", rows)
    sheet = dataset.originals("train", [rows[index] for index in shown])
    distilled.write(work.folder, entries, images, sheet)


def _real(info: Any, file_name: str, source: str) -> Entry:
    return Entry(file_name=file_name, label=info.index, class_id=info.id, class_name=info.name, source=source)


def _synthesise(work: Work, method: Any) -> None:
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
    images = _images(work, method, latents, described)
    distilled.check(entries, images)
    distilled.write(work.folder, entries, images, [images[index] for index in distilled.sheet_rows(entries)])


def _images(
    work: Work, method: Any, latents: numpy.ndarray, described: list[Prototype]
) -> list[numpy.ndarray]:
    """All images, in batches with fixed borders; the noise belongs to the class and the slot."""
    import torch

    from uvlp.models.sampler import Sampler

    settings = work.task.settings
    sampler = Sampler.load(work.input("diffuser"))
    images: list[numpy.ndarray] = []
    for start in work.progress.track(range(0, len(described), settings.batch)):
        part = described[start : start + settings.batch]
        batch = torch.from_numpy(latents[start : start + settings.batch])
        noise = torch.cat([_noise(work, prototype, tuple(batch.shape[1:])) for prototype in part])
        first, last = part[0], part[-1]
        where = f"class {first.class_id} slot {first.slot} to class {last.class_id} slot {last.slot}"
        texts = [prototype.text for prototype in part]
        images.extend(sampler.synthesise(batch, noise, texts, settings, method.LONG_PROMPTS, where))
    return images


def _noise(work: Work, prototype: Prototype, shape: tuple[int, ...]) -> torch.Tensor:
    """Noise [1, 4, h, w] of one prototype."""
    from uvlp.blocks.noise import derived_noise, published_noise

    if work.task.settings.noise == "published":
        return published_noise([prototype.slot], shape)
    return derived_noise(work.task.facts["seed"], prototype.class_id, [prototype.slot], shape)
