"""Edits of files and manifests, of every kind of artifact."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.verification import editing
from tests.pipeline.verification.editing import (
    Edit,
    edit,
    flip,
    halve,
    images,
    link_file,
    link_folder,
    listed,
    mend,
    of,
    of_made,
    of_manifest,
    rekey,
    score,
    steps,
    swap,
    table,
)
from tests.pipeline.verification.ground import OTHERS
from uvlp.artifacts import scores
from uvlp.artifacts.task import MANIFEST

INFINITE = float("inf")
EDITS: dict[str, tuple[Edit, str, str]] = {
    "a deleted file": (lambda root: (table(root) / "table.tex").unlink(), "files", "table.tex"),
    "a deleted image": (lambda root: (images(root) / "train/3/00001.png").unlink(), "files", "00001.png"),
    "an added file": (
        lambda root: (images(root) / "train/3/00002.png").write_text("x", encoding="utf-8"),
        "files",
        "00002.png",
    ),
    "an added artifact": (lambda root: (root / "scores/mine").mkdir(), "files", "scores/mine"),
    "a linked file": (lambda root: link_file(score(root) / scores.FILE), "files", "score.json"),
    "a linked manifest": (lambda root: link_file(score(root) / MANIFEST), "manifests", MANIFEST),
    "a linked folder": (lambda root: link_folder(images(root), root), "files", "distilled/"),
    "a linked kind": (lambda root: link_folder(root / "scores", root), "files", "scores"),
    "swapped files": (
        lambda root: swap(score(root) / scores.FILE, score(root, 1) / scores.FILE),
        "files",
        "score.json",
    ),
    "a path that leads out": (lambda root: listed(score(root), "../x"), "manifests", MANIFEST),
    "an absolute path": (lambda root: listed(score(root), "/etc/hostname"), "manifests", MANIFEST),
    "a path of another system": (lambda root: listed(score(root), "..\\x"), "manifests", MANIFEST),
    "half a manifest": (lambda root: halve(score(root) / MANIFEST), "manifests", MANIFEST),
    "a manifest of another form": (lambda root: of_manifest(score(root), inputs=[]), "manifests", MANIFEST),
    "another schema": (
        steps(lambda root: of_manifest(score(root), schema=9), lambda root: rekey(score(root))),
        "manifests",
        MANIFEST,
    ),
    "another key": (lambda root: of_manifest(score(root), key="0" * 16), "manifests", MANIFEST),
    "another kind": (lambda root: of_manifest(score(root), kind="tables"), "manifests", MANIFEST),
    "another seed": (
        lambda root: edit(score(root) / MANIFEST, lambda content: content["facts"].update(seed=1)),
        "manifests",
        MANIFEST,
    ),
    "no seed": (
        lambda root: edit(score(root) / MANIFEST, lambda content: content["facts"].pop("seed")),
        "manifests",
        MANIFEST,
    ),
    "swapped folders": (lambda root: swap(score(root), score(root, 1)), "manifests", MANIFEST),
    "a deleted manifest": (lambda root: (score(root) / MANIFEST).unlink(), "provenance", "scores/"),
    "no provenance": (
        lambda root: edit(score(root) / MANIFEST, lambda content: content.pop("made")),
        "provenance",
        MANIFEST,
    ),
    "no versions": (lambda root: of_made(score(root), versions={}), "provenance", MANIFEST),
    "numbers of another type": (lambda root: editing.poison(of(root, "features")), "numbers", "features/"),
    "a deleted score": (lambda root: shutil.rmtree(score(root)), "inputs", "scores/"),
    "swapped scores, their hashes mended": (
        steps(
            lambda root: swap(score(root) / scores.FILE, score(root, 1) / scores.FILE),
            lambda root: mend(score(root)),
            lambda root: mend(score(root, 1)),
        ),
        "inputs",
        "score.json",
    ),
    "a hash of a score less": (
        lambda root: edit(table(root) / MANIFEST, lambda content: content["inputs_sha256"].popitem()),
        "inputs",
        MANIFEST,
    ),
    "a number that no JSON has": (
        lambda root: edit(
            score(root) / MANIFEST, lambda each: each["changed_settings"].update(lr=float("inf"))
        ),
        "manifests",
        MANIFEST,
    ),
    "versions of another form": (
        lambda root: of_made(score(root), versions={"torch": 2}),
        "provenance",
        MANIFEST,
    ),
    "a caption that is no text": (
        lambda root: editing.caption(of(root, "captions"), 1),
        "numbers",
        "captions/",
    ),
    "images of another dataset": (editing.other_dataset, "inputs", MANIFEST),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_named(root: Path, what: str) -> None:
    change, check, file = EDITS[what]
    change(root)
    editing.named(root, check, file)


@pytest.mark.parametrize("kind", [*OTHERS, "distilled", "pixels", "scores", "tables"])
def test_a_byte_of_each_kind_is_named(root: Path, kind: str) -> None:
    flip(editing.first_file(of(root, kind)))
    editing.named(root, "files", f"{kind}/")
