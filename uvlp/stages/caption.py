"""caption: one sentence per training image, from a file, from a captioner that measures, or from a model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from uvlp.artifacts import captions
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.captioners.texts import imported, shards
from uvlp.captioners.texts.shards import Answer
from uvlp.core import machine, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.seeds import derive
from uvlp.declarations.captioner import declared_captioner
from uvlp.recipes.schema import CaptionSettings

REVISION = 1


def run(work: Work) -> None:
    """Write `captions`: dataset -> text per training file, and a label-only prompt per class."""
    settings = work.task.settings
    assert isinstance(settings, CaptionSettings)
    dataset = work.dataset()
    if settings.captioner == "file":
        _from_file(work, dataset, settings)
    else:
        captioner = plugins.load("captioners", settings.captioner)
        by = _from_model if hasattr(captioner, "MODEL") else _from_measurements
        by(work, dataset, settings, captioner)
    captions.check(captions.read(work.folder), dataset.files("train"))


def _from_file(work: Work, dataset: Any, settings: CaptionSettings) -> None:
    files = dataset.files("train")
    texts, missing = from_files(work.task, dataset)
    rows = [(name, texts.get(name, "")) for name in files]
    captions.write(work.folder, rows, captions.class_lines(dataset.manifest.classes))
    work.note({"missing captions": missing})


def from_files(task: Task, dataset: Any) -> tuple[dict[str, str], int]:
    """Imported captions, else the dataset's own, by training file, and how many files have none.

    Raises:
        UvlpError: there are no captions, they cannot be read, or some are missing that must not be.
    """
    found = _file_captions(task, dataset)
    if found is None:
        raise UvlpError(
            "the dataset has no captions",
            got=str(task.dataset_spec),
            fix="add a metadata.jsonl, import one with `uvlp captions import`, or choose a captioner with "
            "--set caption.captioner=colours",
        )
    texts = {f"train/{name}": text for name, text in found.items()}
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
    """Ask the model about image after image; what was asked before a kill is not asked again."""
    files = dataset.files("train")
    size = -(-settings.shard // settings.batch) * settings.batch
    folder, of = _shards(work, settings), _ask_key(work, settings)
    answers = shards.read(folder, of, files, size, work.progress.log)
    if answers:
        work.progress.log(f"{len(answers)} of {len(files)} captions are there, going on")
    if len(answers) < len(files):
        place = Path(work.model_path(captioner.MODEL))
        with captioner.opened(place, settings, work.task.facts["precision"]) as model:
            fresh = _ask(work, dataset, settings, model, range(len(answers), len(files)))
            written = shards.write(folder, of, files, size, len(answers), fresh)
            tracked = work.progress.track(written, "captions", len(files) - len(answers))
            answers = [*answers, *tracked]
    texts = [answer.text for answer in answers]
    missing = captions.check_coverage(files, dict(zip(files, texts, strict=True)), settings.missing)
    captions.write(
        work.folder, zip(files, texts, strict=True), captions.class_lines(dataset.manifest.classes)
    )
    cut = sum(not answer.ended for answer in answers)
    work.note({"missing captions": missing, "captions cut at max_new_tokens": cut})


def _ask(
    work: Work, dataset: Any, settings: CaptionSettings, model: Any, indices: Sequence[int]
) -> Iterator[Answer]:
    """Answers in the order of ``indices``, image files read batch by batch."""
    from uvlp.models.batches import in_batches

    if machine.device() == "cpu":
        work.progress.log("no GPU: LLaVA runs on the CPU, minutes per image at its published size")
    files, labels = dataset.files("train"), dataset.labels("train")
    classes, file = dataset.manifest.classes, declared_captioner(settings.captioner).origin.file

    def answers(part: Sequence[int]) -> list[Answer]:
        infos = [classes[labels[index]] for index in part]
        found = model.answers(
            dataset.originals("train", part),
            [info.synonyms for info in infos],
            [derive(0, "caption", files[index]) for index in part],
        )
        return shards.check(found, len(part), file)

    for _, made in in_batches(answers, indices, settings.batch, work.progress.log):
        yield from made


def _shards(work: Work, settings: CaptionSettings) -> Path:
    """Where shards are kept; those made under the other rule for missing captions are taken over."""
    own = work.partial
    other = next(rule for rule in captions.MISSING if rule != settings.missing)
    theirs = work.store.partial(_under(work, settings, other))
    # Renaming onto a folder works as long as that one is empty.
    with contextlib.suppress(OSError):
        os.rename(theirs, own)
    with contextlib.suppress(OSError):
        theirs.rmdir()
    return own


def _ask_key(work: Work, settings: CaptionSettings) -> str:
    """What decides about answers: all that the key holds but the rule for missing captions."""
    return _under(work, settings, captions.MISSING[0]).key


def _under(work: Work, settings: CaptionSettings, rule: str) -> Task:
    return replace(work.task, settings=replace(settings, missing=rule))
