"""caption: one text per training image, from a file, from measurements, or from a model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from uvlp.artifacts import captions
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.captioners.texts import answers, imported
from uvlp.captioners.texts.answers import Answer
from uvlp.core import machine, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.seeds import derive
from uvlp.declarations.captioner import declared_captioner
from uvlp.recipes.schema import CaptionSettings

REVISION = 1


def run(work: Work) -> None:
    """Write `captions`: dataset -> text per training file, and a label-only prompt per class.

    With a model, a share of the answers can be made.
    """
    settings = work.task.settings
    assert isinstance(settings, CaptionSettings)
    dataset = work.dataset()
    if settings.captioner == "file":
        _from_file(work, dataset, settings)
    else:
        captioner = plugins.load("captioners", settings.captioner)
        by = _from_model if hasattr(captioner, "MODEL") else _from_measurements
        by(work, dataset, settings, captioner)
    if work.share.publishes:
        captions.check(captions.read(work.folder), dataset.files("train"))


def _from_file(work: Work, dataset: Any, settings: CaptionSettings) -> None:
    files = dataset.files("train")
    texts, missing = from_files(work.task, dataset)
    rows = [(name, texts.get(name, "")) for name in files]
    captions.write(work.folder, rows, captions.class_lines(dataset.manifest.classes))
    work.note({"missing captions": missing})


def from_files(task: Task, dataset: Any) -> tuple[dict[str, str], int]:
    """Imported captions, else the dataset's own, by training file, and the number of files without one.

    Raises:
        UvlpError: there are no captions, they cannot be read, or some are missing and must not be.
    """
    by_name = _file_captions(task, dataset)
    if by_name is None:
        raise UvlpError(
            "the dataset has no captions",
            got=str(task.dataset_spec),
            fix="add a metadata.jsonl, import one with `uvlp captions import`, or choose a captioner with "
            "--set caption.captioner=colours",
        )
    texts = {f"train/{name}": text for name, text in by_name.items()}
    return texts, captions.check_coverage(dataset.files("train"), texts, task.settings.missing)


def _file_captions(task: Task, dataset: Any) -> Any:
    """The imported captions, else the dataset's own, else None."""
    path = task.origins.get("file")
    if path is None:
        return dataset.captions()
    images = [name.removeprefix("train/") for name in dataset.files("train")]
    return imported.read(Path(path), images, task.facts["file"])


def _from_measurements(work: Work, dataset: Any, settings: CaptionSettings, captioner: ModuleType) -> None:
    classes = dataset.manifest.classes
    names = [classes[label].name for label in dataset.labels("train")]
    images = dataset.images("train", range(len(names)), work.task.facts["image_px"])
    file = declared_captioner(settings.captioner).origin.file
    texts = captions.check_texts(captioner.captions(images, names, work.progress), len(names), file)
    prompts = {info.id: captioner.plain(info.name) for info in classes}
    captions.check_texts(list(prompts.values()), len(classes), file, "plain")
    captions.write(work.folder, list(zip(dataset.files("train"), texts, strict=True)), prompts)


def _from_model(work: Work, dataset: Any, settings: CaptionSettings, captioner: ModuleType) -> None:
    """Caption with the model, in parts."""
    from uvlp.models.device import device_and_dtype

    files, precision = dataset.files("train"), work.task.facts["precision"]
    device, dtype = device_and_dtype(precision)
    size = -(-settings.shard // settings.batch) * settings.batch
    plan = Plan(items=len(files), batch=settings.batch, size=size, device=device, dtype=dtype)
    parts = _parts(work, settings)
    plan = parts.begin(plan)
    missing = work.missing(parts, plan, "captions")
    if missing:
        path = Path(work.model_path(captioner.MODEL))
        with captioner.opened(path, settings, precision) as model:
            _ask(work, dataset, model, parts, plan, missing)
    if not work.share.publishes:
        return
    given = [each for part in plan.parts(work.share) for each in answers.read(parts.folder(part.start))]
    texts = [answer.text for answer in given]
    without = captions.check_coverage(files, dict(zip(files, texts, strict=True)), settings.missing)
    captions.write(
        work.folder, zip(files, texts, strict=True), captions.class_lines(dataset.manifest.classes)
    )
    cut = sum(not answer.ended for answer in given)
    work.note({"missing captions": without, "captions cut at max_new_tokens": cut, **parts.counts()})


def _ask(work: Work, dataset: Any, model: Any, parts: Parts, plan: Plan, missing: Sequence[range]) -> None:
    """Make the missing parts; images are read batch by batch."""
    from uvlp.models.batches import in_halves

    if machine.device() == "cpu":
        work.progress.log("no GPU: LLaVA-1.5-7B takes minutes per image on the CPU")
    files, labels = dataset.files("train"), dataset.labels("train")
    classes, file = dataset.manifest.classes, declared_captioner(work.task.settings.captioner).origin.file

    def answered(rows: Sequence[int]) -> list[Answer]:
        infos = [classes[labels[row]] for row in rows]
        returned = model.answers(
            dataset.originals("train", rows),
            [info.synonyms for info in infos],
            [derive(0, "caption", files[row]) for row in rows],
        )
        return answers.check(returned, len(rows), file)

    done, total = 0, sum(map(len, missing))
    for part in work.in_turn(parts, plan, missing):
        total = max(total, done + len(part))
        with parts.making(part, plan) as unfinished:
            given: list[Answer] = []
            for rows in plan.batches(part):
                halves = in_halves(answered, rows, work.progress.log)
                unfinished.counts[SPLITS] += len(halves) - 1
                given += [answer for half in halves for answer in half]
                done += len(rows)
                work.progress.at(done, total)
            answers.write(unfinished.folder, given)


def _parts(work: Work, settings: CaptionSettings) -> Parts:
    """Return the parts; those made with the other value of `missing` are moved to this task."""
    folder = work.partial
    other = next(rule for rule in captions.MISSING if rule != settings.missing)
    previous = work.store.partial(_with_missing(work, settings, other))
    # Renaming onto an existing folder works only if it is empty.
    with contextlib.suppress(OSError):
        os.rename(previous, folder)
    with contextlib.suppress(OSError):
        previous.rmdir()
    key = _with_missing(work, settings, captions.MISSING[0]).key
    return Parts(folder, key, work.progress.log)


def _with_missing(work: Work, settings: CaptionSettings, rule: str) -> Task:
    return replace(work.task, settings=replace(settings, missing=rule))
