"""Classes: one order in the dataset, in the images that were trained on, and in those that were scored."""

from __future__ import annotations

from collections import Counter

from uvlp.artifacts import distilled, pixels
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.distilled import Entry
from uvlp.core.errors import UvlpError
from uvlp.datasets.files import class_lists
from uvlp.datasets.files.images.tensors.tensor_set import ALL
from uvlp.pipeline.verification.contents import Artifact, Contents, Manifest
from uvlp.pipeline.verification.datasets import Datasets
from uvlp.pipeline.verification.report import Check


def check_classes(contents: Contents, datasets: Datasets, check: Check) -> Check:
    """The order of classes: of each dataset, of the labels that were scored, of the images trained on."""
    for content_hash, known in datasets.items():
        _check_list(check, content_hash, known.manifest)
    for one in contents.of_kind(pixels.KIND):
        assert one.manifest is not None
        with_dataset = datasets.get(one.manifest.dataset)
        if with_dataset is None:
            check.skipped["sets of validation labels whose dataset is not recorded in this store"] += 1
        else:
            _check_labels(check, one, with_dataset.manifest)
    for one in contents.of_kind(distilled.KIND):
        assert one.manifest is not None
        with_dataset = datasets.get(one.manifest.dataset)
        if with_dataset is None:
            check.skipped["sets of distilled images whose dataset is not recorded in this store"] += 1
        else:
            _check_entries(check, one, with_dataset.manifest)
    return check


def _check_list(check: Check, content_hash: str, manifest: DatasetManifest) -> None:
    check.checked += 1
    file = f"datasets/{manifest.name}-{content_hash[:16]}.json"
    check.compare(file, "indices", [each.index for each in manifest.classes], [*range(len(manifest.classes))])
    published = class_lists.identities(manifest.name)
    if published:
        check.compare(file, "order of classes", [each.id for each in manifest.classes], list(published))


def _check_labels(check: Check, one: Artifact, manifest: DatasetManifest) -> None:
    import numpy

    file = f"{one.name}/{pixels.LABELS}"
    wanted = [each.index for each in manifest.classes for _ in range(each.val)]
    try:
        found = numpy.load(one.folder / pixels.LABELS, allow_pickle=False).tolist()
    except (OSError, ValueError) as error:
        check.checked += 1
        check.fail(file, "cannot be read", error)
        return
    check.checked += 1
    if found != wanted:
        where = next(
            (row for row, pair in enumerate(zip(found, wanted, strict=False)) if len(set(pair)) > 1), None
        )
        got = f"{len(found)} labels" if where is None else f"{found[where]} in row {where}"
        allowed = f"{len(wanted)} in order" if where is None else wanted[where]
        check.fail(file, "labels of the validation images", got, allowed)


def _check_entries(check: Check, one: Artifact, manifest: DatasetManifest) -> None:
    check.checked += 1
    file = f"{one.name}/train/metadata.jsonl"
    try:
        entries = distilled.read_entries(one.folder)
    except (UvlpError, OSError) as error:
        check.fail(file, "cannot be read", error)
        return
    for row, entry in enumerate(entries, 1):
        wanted = manifest.classes[entry.label] if 0 <= entry.label < len(manifest.classes) else None
        found = (entry.class_id, entry.class_name)
        if wanted is None or found != (wanted.id, wanted.name):
            allowed = f"{wanted.id} ({wanted.name})" if wanted else f"label below {len(manifest.classes)}"
            got = f"{entry.class_id} ({entry.class_name})"
            check.fail(file, f"class of label {entry.label} in line {row}", got, allowed)
            return


def check_images(contents: Contents, datasets: Datasets) -> Check:
    """Every class has as many distilled images as it should, in the folder of its name."""
    check = Check(
        name="images",
        one="{} set of distilled images has the stated number in every class",
        many="{} sets of distilled images have the stated number in every class",
    )
    for one in contents.of_kind(distilled.KIND):
        assert one.manifest is not None
        try:
            entries = distilled.read_entries(one.folder)
        except (UvlpError, OSError):
            continue  # named by `classes`
        check.checked += 1
        _check_files(check, one, one.manifest, entries)
        known = datasets.get(one.manifest.dataset)
        _check_counts(check, one, one.manifest, entries, known.manifest if known else None)
    return check


def _check_files(check: Check, one: Artifact, manifest: Manifest, entries: list[Entry]) -> None:
    file = f"{one.name}/train/metadata.jsonl"
    named = [entry for entry in entries if entry.file_name]
    odd = [entry.file_name for entry in named if entry.file_name.partition("/")[0] != entry.class_id]
    if odd:
        check.fail(file, "an image in the folder of another class", odd[0])
    listed = {f"train/{entry.file_name}" for entry in named}
    there = {name for name in manifest.files if name.startswith("train/") and name != "train/metadata.jsonl"}
    there |= {f"train/{name}" for name in distilled.tensor_names(one.folder)}
    if listed != there or len(named) != len(listed):
        differing = sorted(listed ^ there) or ["an image twice"]
        check.fail(
            file, "its rows are not its images", f"{len(named)} rows, {len(there)} images", differing[0]
        )


def _check_counts(
    check: Check, one: Artifact, manifest: Manifest, entries: list[Entry], dataset: DatasetManifest | None
) -> None:
    counts = Counter(entry.label for entry in entries)
    ipc = manifest.facts.get("ipc")
    classes = [*range(len(dataset.classes))] if dataset else sorted(counts)
    if ipc is None and dataset is None:
        check.skipped[
            "sets of images without a stated size, whose dataset is not recorded in this store"
        ] += 1
        return
    if ipc is not None and manifest.facts.get("select") == ALL:
        # The most probable classes of soft labels may differ in number.
        if len(entries) != ipc * len(classes):
            file = f"{one.name}/train/metadata.jsonl"
            check.fail(file, "images of all classes", len(entries), ipc * len(classes))
        return
    for label in classes:
        wanted = ipc if ipc is not None else dataset.classes[label].train if dataset else 0
        if counts[label] != wanted:
            file = f"{one.name}/train/metadata.jsonl"
            check.fail(file, f"images of class {label}", counts[label], wanted)
            return
