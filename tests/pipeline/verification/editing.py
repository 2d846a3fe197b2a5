"""What an editor does to a store: one change, and what has to be mended for it to be overlooked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy

from uvlp.artifacts import scores, tables
from uvlp.artifacts.task import MANIFEST, key_of
from uvlp.core.hashing import read_checked, write_checked
from uvlp.pipeline.verification.contents import ScoreFacts, measured, read_contents
from uvlp.pipeline.verification.verify import verify
from uvlp.tables.measured import Training, measured_table
from uvlp.tables.table import texts

Edit = Callable[[Path], object]


def steps(*edits: Edit) -> Edit:
    """Several edits, one after the other."""

    def all_of_them(root: Path) -> None:
        for each in edits:
            each(root)

    return all_of_them


def named(root: Path, check: str, file: str) -> None:
    """Fail unless this check names a file of that name."""
    found = {each.name: each.findings for each in verify(root, None, None, None) if each.findings}
    assert any(file in one.file for one in found.get(check, [])), found


def of(root: Path, kind: str, **facts: Any) -> Path:
    """The first artifact of a kind with these facts."""
    for folder in sorted((root / kind).iterdir()):
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["facts"]
        if all(found.get(name) == value for name, value in facts.items()):
            return folder
    raise AssertionError(f"no {kind} with {facts}")


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON object of a file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def mend(folder: Path) -> None:
    """Write the hashes of an artifact's files, as they are now, into its manifest; and into its tables."""

    def hashes(content: dict[str, Any]) -> None:
        content["files"] = {
            name: sha256(folder / name) for name in content["files"] if (folder / name).exists()
        }

    edit(folder / MANIFEST, hashes)


def mend_tables(root: Path) -> None:
    """Write the hashes of the scores, as they are now, into the manifests of tables."""
    for folder in (root / tables.KIND).iterdir():

        def hashes(content: dict[str, Any]) -> None:
            for name, key in content["inputs"].items():
                content["inputs_sha256"][name] = sha256(root / scores.KIND / key / scores.FILE)

        edit(folder / MANIFEST, hashes)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rekey(folder: Path) -> Path:
    """Give an artifact the key of what its manifest says now; where it is then."""
    key = key_of(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    assert key
    edit(folder / MANIFEST, lambda content: content.update(key=key))
    os.rename(folder, folder.with_name(key))
    return folder.with_name(key)


def forge(root: Path, changes: dict[Path, scores.Score]) -> None:
    """Store other scores with everything that follows from them: hashes, and the table made anew."""
    for folder, score in changes.items():
        scores.write(folder, score)
        mend(folder)
    contents = read_contents(root)
    for table in measured(contents):
        assert table.artifact.manifest and table.table
        trainings = {}
        for name, key in table.artifact.manifest.inputs.items():
            one = contents.by_key[key]
            assert one.manifest and isinstance(one.facts, ScoreFacts)
            trainings[name] = Training(
                name=one.name,
                seed=one.facts.seed,
                repeat=one.facts.repeat,
                images=one.manifest.inputs["distilled"],
                score=scores.read(one.folder),
            )
        made = measured_table(table.artifact.manifest.facts, trainings, ())
        tables.write(table.artifact.folder, made, texts(made))
        mend(table.artifact.folder)
    mend_tables(root)


def raised(score: scores.Score, images: int) -> scores.Score:
    """The score with that many more images right at both passes, and a curve to it."""
    best, last = (
        _more_right(bits, images, score.validation_images)
        for bits in (score.correct_best, score.correct_last)
    )
    pcts = [100 * int(bits, 16).bit_count() / score.validation_images for bits in (best, last)]
    epochs = [epoch for epoch, _ in score.curve]
    if score.best_epoch == epochs[-1] or pcts[1] >= pcts[0]:
        best, pcts = last, [pcts[1], pcts[1]]
        curve = ((epochs[0], 0.0), (epochs[-1], pcts[1]))
        return replace(
            score,
            best_pct=pcts[1],
            last_pct=pcts[1],
            best_epoch=epochs[-1],
            curve=curve,
            correct_best=last,
            correct_last=last,
            top5_best_pct=100.0,
            top5_last_pct=100.0,
        )
    curve = ((score.best_epoch, pcts[0]), (epochs[-1], pcts[1]))
    return replace(
        score,
        best_pct=pcts[0],
        last_pct=pcts[1],
        curve=curve,
        correct_best=best,
        correct_last=last,
        top5_best_pct=100.0,
        top5_last_pct=100.0,
    )


def _more_right(bits: str, images: int, of_all: int) -> str:
    packed = numpy.frombuffer(bytes.fromhex(bits), dtype=numpy.uint8)
    right = numpy.unpackbits(packed)
    right[numpy.flatnonzero(right[:of_all] == 0)[:images]] = 1
    return numpy.packbits(right).tobytes().hex()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def score(root: Path, seed: int = 0, repeat: int = 1) -> Path:
    """Of random images."""
    return of(root, "scores", seed=seed, repeat=repeat, ipc=2)


def images(root: Path, seed: int = 0) -> Path:
    return of(root, "distilled", method="random", seed=seed)


def table(root: Path) -> Path:
    return of(root, "tables")


def swap(one: Path, other: Path) -> None:
    os.rename(one, one.with_name("x"))
    os.rename(other, one)
    os.rename(one.with_name("x"), other)


def of_manifest(folder: Path, **changes: Any) -> None:
    edit(folder / MANIFEST, lambda content: content.update(changes))


def of_facts(folder: Path, **changes: Any) -> Path:
    """Change the facts of a manifest, with its key and folder."""
    edit(folder / MANIFEST, lambda content: content["facts"].update(changes))
    return rekey(folder)


def of_made(folder: Path, **changes: Any) -> None:
    edit(folder / MANIFEST, lambda content: content["made"].update(changes))


def of_score(folder: Path, **changes: Any) -> None:
    """Change a score with all hashes."""
    edit(folder / scores.FILE, lambda content: content.update(changes))
    mend(folder)
    mend_tables(folder.parent.parent)


def of_table(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit(table(root) / "table.json", change)
    mend(table(root))


def listed(folder: Path, name: str) -> None:
    """List one more file."""
    edit(folder / MANIFEST, lambda content: content["files"].update({name: "0" * 64}))


def link_file(path: Path) -> None:
    target = path.with_name("elsewhere")
    os.rename(path, target)
    path.symlink_to(target)


def link_folder(folder: Path, root: Path) -> None:
    shutil.move(folder, root / "elsewhere")
    folder.symlink_to(root / "elsewhere")


def take(root: Path, name: str, score: Path) -> None:
    """Let the table have another score in the place of a training."""
    edit(table(root) / MANIFEST, lambda content: content["inputs"].update({name: score.name}))
    rekey(table(root))
    mend_tables(root)


def score_of_another_method(root: Path) -> None:
    """The table shows a score of the whole set as one of random images."""
    one, other = score(root), of(root, "scores", seed=0, repeat=1, ipc=None)

    def exchanged(content: dict[str, Any]) -> None:
        inputs = content["inputs"]
        content["inputs"] = {name: other.name if key == one.name else key for name, key in inputs.items()}

    edit(table(root) / MANIFEST, exchanged)
    rekey(table(root))
    mend_tables(root)


def of_classes(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the store recorded of the dataset, with the hash in front of it."""
    path = next((root / "datasets").iterdir())
    content = read_checked(path)
    change(content)
    write_checked(path, content)


def exchange_classes(content: dict[str, Any]) -> None:
    first, second, *others = content["classes"]
    content["classes"] = [first | {"index": 1}, second | {"index": 0}, *others]
    content["classes"].sort(key=lambda each: each["index"])


def of_entries(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    path = folder / "train" / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    mend(folder)


def relabel(folder: Path) -> None:
    path = folder / "labels.npy"
    labels = numpy.load(path)
    labels[0] = 1
    numpy.save(path, labels)
    mend(folder)


def poison(folder: Path) -> None:
    numpy.save(folder / "latents.npy", numpy.ones((2, 4), dtype=numpy.int32))
    mend(folder)


def copy_score(root: Path) -> None:
    forge(root, {score(root, 0, 2): scores.read(score(root, 0, 1))})


def fewer_repeats(root: Path) -> None:
    """One training is left out of the table, with all that follows for its manifest."""

    def shortened(content: dict[str, Any]) -> None:
        name = content["facts"]["cells"][1]["scores"].pop()
        del content["inputs"][name], content["inputs_sha256"][name]

    edit(table(root) / MANIFEST, shortened)
    rekey(table(root))


def twice(root: Path) -> None:
    """Two trainings of a cell say to be of one seed and repeat."""
    second = of_facts(score(root, 0, 2), repeat=1, of="another")
    edit(
        second / MANIFEST,
        lambda content: content.update(title=content["title"].replace("repeat 2", "repeat 1")),
    )
    take(root, "random convnet-3 seed 0 repeat 2", second)


def other_images(root: Path) -> None:
    """A training of seed 0 says to be on the images of seed 1."""
    one = score(root, 0, 1)
    edit(one / MANIFEST, lambda content: content["inputs"].update(distilled=images(root, 1).name))
    moved = rekey(one)
    take(root, "random convnet-3 seed 0 repeat 1", moved)


def of_setting(folder: Path, value: Any) -> Path:
    """Change a setting with the key."""

    def changed(content: dict[str, Any]) -> None:
        content["settings"]["epochs"] = content["changed_settings"]["epochs"] = value

    edit(folder / MANIFEST, changed)
    return rekey(folder)


def other_setting(root: Path) -> None:
    one = score(root)
    moved = of_setting(one, 7)
    take(root, "random convnet-3 seed 0 repeat 1", moved)


def other_dataset(root: Path) -> None:
    one = images(root)
    of_manifest(one, dataset="f" * 64)
    moved = rekey(one)
    for folder in [score(root, 0, 1), score(root, 0, 2)]:
        edit(folder / MANIFEST, lambda content: content["inputs"].update(distilled=moved.name))
        rekey(folder)


def first_file(folder: Path) -> Path:
    return next(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def caption(folder: Path, text: object) -> None:
    path = folder / "metadata.jsonl"
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0]) | {"text": text}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    mend(folder)


def reword(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("0", "9", 1), encoding="utf-8")


def one_answer(score: scores.Score) -> scores.Score:
    """The score of a network that answers with the first class, whatever the image is."""
    right = numpy.zeros(score.validation_images, dtype=bool)
    right[:49] = True
    pct, bits = 100 * 49 / score.validation_images, numpy.packbits(right).tobytes().hex()
    curve = tuple((epoch, pct) for epoch, _ in score.curve)
    return replace(
        score,
        best_pct=pct,
        last_pct=pct,
        best_epoch=curve[0][0],
        curve=curve,
        correct_best=bits,
        correct_last=bits,
    )
