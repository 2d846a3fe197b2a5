"""caption: one sentence per training image, from a file or from a captioner."""

from __future__ import annotations

from typing import Any

from uvlp.artifacts import captions
from uvlp.artifacts.work import Work
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
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
        _from_captioner(work, dataset, settings)
    captions.check(captions.read(work.folder), dataset.files("train"))


def _from_file(work: Work, dataset: Any, settings: CaptionSettings) -> None:
    found = dataset.captions()
    if found is None:
        raise UvlpError(
            "the dataset has no metadata.jsonl with captions",
            got=str(work.task.dataset_spec),
            do="add one, or choose a captioner with --set caption.captioner=colours",
        )
    files = dataset.files("train")
    texts = {f"train/{name}": text for name, text in found.items()}
    missing = captions.check_coverage(files, texts, settings.missing)
    rows = [(name, texts.get(name, "")) for name in files]
    prompts = {info.id: info.name for info in dataset.manifest.classes}
    captions.write(work.folder, rows, prompts)
    work.note({"missing captions": missing})


def _from_captioner(work: Work, dataset: Any, settings: CaptionSettings) -> None:
    captioner = plugins.load("models/captioners", settings.captioner)
    classes = dataset.manifest.classes
    names = [classes[label].name for label in dataset.labels("train")]
    images = dataset.images("train", range(len(names)), work.task.facts["image_px"])
    texts = captioner.captions(images, names, work.progress)
    prompts = {info.id: captioner.plain(info.name) for info in classes}
    captions.write(work.folder, list(zip(dataset.files("train"), texts, strict=True)), prompts)
