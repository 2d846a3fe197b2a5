"""Accuracies: those of the stored bits, of as many images as the dataset has; numbers in other files."""

from __future__ import annotations

from uvlp.artifacts import captions, distilled, pixels, scores, tables
from uvlp.artifacts.checks.contradictions import contradiction
from uvlp.artifacts.scores import FILE, Score
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.pipeline.verification.contents import Artifact, Contents
from uvlp.pipeline.verification.datasets import Datasets
from uvlp.pipeline.verification.report import Check, counted


def check_accuracies(contents: Contents, datasets: Datasets) -> Check:
    """Of every score against its bits, and the number of these against the validation images."""
    check = Check(
        name="accuracies",
        one="{} score has accuracies that match its per-image results",
        many="{} scores have accuracies that match their per-image results",
    )
    sizes = _training_sizes(contents)
    sources: dict[str, int] = {}
    for one in contents.of_kind(scores.KIND):
        check.checked += 1
        try:
            score = json_files.read(Score, one.folder / FILE)
            wrong = scores.contradiction(score)
        except (UvlpError, OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            check.fail(f"{one.name}/{FILE}", "cannot be read", error)
            continue
        if wrong:
            check.fail(f"{one.name}/{FILE}", "accuracies and bits disagree", wrong)
        source = _check_images(check, one, score, datasets)
        sources[source] = sources.get(source, 0) + 1
        _check_inputs(check, one, score, contents, sizes)
    for source, number in sources.items():
        if source:
            check.remarks.append(
                f"number of validation images of {counted(number, 'scores')} checked against {source}"
            )
        else:
            check.skipped["scores whose dataset is not recorded in this store"] += number
    return check


def _check_images(check: Check, one: Artifact, score: Score, datasets: Datasets) -> str:
    """Compare the number of bits with the dataset; what was asked for it, empty if nothing could be."""
    assert one.manifest is not None
    known = datasets.get(one.manifest.dataset)
    if known is None:
        return ""
    images = known.manifest.count("val")
    if score.validation_images != images:
        check.fail(f"{one.name}/{FILE}", "validation images", score.validation_images, images)
    return known.source


def _training_sizes(contents: Contents) -> dict[str, int]:
    """Number of images by key of distilled sets."""
    found: dict[str, int] = {}
    for one in contents.of_kind(distilled.KIND):
        try:
            found[one.key] = len(distilled.read_entries(one.folder))
        except (UvlpError, OSError):
            continue  # named by `classes`
    return found


def _check_inputs(
    check: Check, one: Artifact, score: Score, contents: Contents, sizes: dict[str, int]
) -> None:
    assert one.manifest is not None
    size = sizes.get(one.manifest.inputs.get("distilled", ""), score.train_images)
    if size != score.train_images:
        check.fail(f"{one.name}/{FILE}", "images trained on", score.train_images, size)
    validation = contents.usable(one.manifest.inputs.get("validation", ""))
    if validation is not None and validation.kind == pixels.KIND:
        name = json_files.read_object(validation.folder / pixels.NAME).get("name")
        if name != score.validation_set:
            check.fail(f"{one.name}/{FILE}", "validation set", score.validation_set, name)


def check_numbers(contents: Contents) -> Check:
    """Arrays and weights of the other kinds: of the right type, finite."""
    check = Check(
        name="numbers",
        one="{} other artifact holds numbers and texts of the right form",
        many="{} other artifacts hold numbers and texts of the right form",
    )
    for one in contents.artifacts.values():
        if one.kind in (scores.KIND, tables.KIND) or one.manifest is None or one.name in contents.damaged:
            continue
        check.checked += 1
        wrong = contradiction(one.folder, one.content) or _wrong_texts(one)
        if wrong:
            check.fail(one.name, wrong)
    return check


def _wrong_texts(one: Artifact) -> str:
    """What is wrong with captions; empty for other kinds."""
    try:
        if one.kind == captions.KIND:
            captions.read(one.folder)
    except (UvlpError, OSError) as error:
        return str(error)
    return ""
