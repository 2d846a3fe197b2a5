"""Writing a distilled set as a folder that `datasets`, torchvision and `uvlp evaluate` read.

`train/<class>/<slot>.png`, `train/metadata.jsonl`, `contact_sheet.png`, the card `README.md`, the manifest
`uvlp_export.json` and `SHA256SUMS`. The images are the store's bytes; scores of the folder are the same bits.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import ClassInfo
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.lines import read_lines
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.paths import check_folder, nearest_existing
from uvlp.core.files.sharing import umask
from uvlp.core.files.writing import keep_folder
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Progress
from uvlp.exchange.export_card import Card, ClassFolder, card_text
from uvlp.exchange.export_scores import Scored, scores_of
from uvlp.exchange.export_sets import DistilledSet

MANIFEST = "uvlp_export.json"
SCHEMA = 1
SUMS = "SHA256SUMS"
CARD = "README.md"
FIX = "free some space, make it writable, or name another folder with --out; nothing else was changed"
OF_MACHINE = ("host", "origins", "dataset")
"""Entries of an artifact's record that name the machine and its folders, and are not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A finished export; ``new`` is false if the same one was already there."""

    folder: Path
    card: Card
    new: bool


def export(chosen: DistilledSet, store: Store, out: Path, repository: str, progress: Progress) -> Exported:
    """Write the folder ``out`` under a temporary name beside it, and rename it at the end.

    Args:
        chosen: the set, checked.
        store: its store, with the scores.
        out: a new or empty folder; the same export may be there.
        repository: ``OWNER/NAME`` on the hub, which the card then names; may be empty.
        progress: reports the copied images.

    Raises:
        UvlpError: ``out`` cannot be the folder, holds something else, or the disk is full.
    """
    out = check_folder("export folder", out, "--out DIR").absolute()
    _check_target(out, chosen, store)
    entries = distilled.read_entries(chosen.folder)
    assert chosen.dataset is not None
    card = Card(
        chosen=chosen,
        dataset=chosen.dataset,
        classes=tuple(class_folders(chosen.dataset.classes)),
        images=len(entries),
        kind=_kind(chosen, entries),
        scored=tuple(scores_of(chosen.key, chosen.dataset, store)),
        address=f"hf://{repository}@main" if repository else "",
    )
    with explain_os_errors(out.parent, "cannot write the export", FIX):
        out.parent.mkdir(parents=True, exist_ok=True)
        needed = sum(path.stat().st_size for path in chosen.folder.rglob("*") if path.is_file())
        check_space("the export", nearest_existing(out.parent), needed, FIX)
        unfinished = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            unfinished.chmod(0o777 & ~umask())
            _fill(unfinished, card, entries, progress)
            new = not _is_there(out)
            if new:
                keep_folder(unfinished, out)
            else:
                _check_same(unfinished, out)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return Exported(folder=out, card=card, new=new)


def _check_target(out: Path, chosen: DistilledSet, store: Store) -> None:
    if out.resolve().is_relative_to(store.root.resolve()):
        raise UvlpError("the export would be inside the store", got=str(out), fix="name another folder")
    if not _is_there(out):
        return
    try:
        artifact = json_files.parse((out / MANIFEST).read_bytes())["artifact"]
    except (OSError, ValueError, LookupError, TypeError):
        artifact = "other files"
    if artifact != chosen.artifact:
        raise _taken(out, str(artifact))


def _is_there(out: Path) -> bool:
    return out.is_dir() and any(out.iterdir())


def _taken(out: Path, found: str) -> UvlpError:
    fix = "move it away, or name another folder with --out"
    return UvlpError(f"the folder {out} is not empty", got=found, allowed="a new or empty folder", fix=fix)


def _check_same(unfinished: Path, out: Path) -> None:
    """Refuse a folder that differs from what would be written now.

    Raises:
        UvlpError: names the first file that differs.
    """
    wanted = {**_sums(unfinished), SUMS: file_sha256(unfinished / SUMS)}
    for name in sorted(wanted.keys() | _names(out)):
        there = out / name
        if name not in wanted or not there.is_file() or file_sha256(there) != wanted[name]:
            raise _taken(out, f"an earlier export of the same images, in which {name} differs")


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _sums(folder: Path) -> dict[str, str]:
    """Return SHA-256 by file of `SHA256SUMS`."""
    return read_sums(folder / SUMS)


def read_sums(path: Path) -> dict[str, str]:
    """Return the SHA-256 by file name from a file in the form of `sha256sum`.

    Raises:
        UvlpError: it cannot be read as text, or a line has another form.
    """
    sums = {}
    for line in read_lines(path):
        sha256, gap, name = line.partition("  ")
        if len(sha256) != 64 or not gap or not name:
            raise UvlpError(
                f"{path}: not a line of sha256sum", got=line, allowed="SHA-256, two spaces, a name"
            )
        sums[name] = sha256
    return sums


def class_folders(classes: Sequence[ClassInfo]) -> Iterator[ClassFolder]:
    """Yield the folder of every class: its id, or its index if the sorted ids are in another order.

    torchvision numbers classes by their sorted folders.
    """
    ids = [info.id for info in classes]
    numbers = [f"{info.index:05d}" for info in classes]
    ordered = ids == sorted(ids) or set(ids) & set(numbers)
    for info, number in zip(classes, numbers, strict=True):
        yield ClassFolder(index=info.index, id=info.id, name=info.name, folder=info.id if ordered else number)


def _kind(chosen: DistilledSet, entries: Sequence[Entry]) -> str:
    if chosen.content["stage"] == "collect":
        return "images of a folder"
    if any(entry.source for entry in entries):
        return "real images of the dataset"
    return f"images made by {chosen.content['plugin']}"


def _fill(folder: Path, card: Card, entries: Sequence[Entry], progress: Progress) -> None:
    """Write all files; the bytes that are copied are compared with the artifact's hashes."""
    listed, folder_of = card.chosen.content["files"], {one.index: one.folder for one in card.classes}
    slots: Counter[int] = Counter()
    sums, rows = {}, []
    for entry in progress.track(entries, "copy images"):
        name = f"{folder_of[entry.label]}/{slots[entry.label]:05d}.png"
        slots[entry.label] += 1
        source = f"train/{entry.file_name}"
        sums[f"train/{name}"] = _copy(card.chosen, source, folder / "train" / name, listed[source])
        rows.append({**asdict(entry), "file_name": name})
    sheet = distilled.SHEET
    sums[sheet] = _copy(card.chosen, sheet, folder / sheet, listed[sheet])
    empty = {name for name in ("text", "source") if not any(row[name] for row in rows)}
    texts = {
        "train/metadata.jsonl": "".join(
            json.dumps({name: row[name] for name in row if name not in empty}, ensure_ascii=False) + "\n"
            for row in rows
        ),
        CARD: card_text(card),
        MANIFEST: json.dumps(_manifest(card), indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        sums[name] = hashlib.sha256(text.encode()).hexdigest()
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _copy(chosen: DistilledSet, name: str, target: Path, sha256: str) -> str:
    content = (chosen.folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UvlpError(
            f"damaged images {chosen.artifact}: {name} changed while it was copied",
            fix="re-run the command that made them with --force",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return sha256


def _manifest(card: Card) -> dict[str, Any]:
    chosen, dataset = card.chosen, card.dataset
    made = {name: value for name, value in chosen.content["made"].items() if name not in OF_MACHINE}
    provenance = {name: value for name, value in chosen.content.items() if name != "files"}
    return {
        "schema": SCHEMA,
        "what": "distilled images, exported by uvlp",
        "artifact": chosen.artifact,
        "name": chosen.name,
        "images_per_class": chosen.ipc,
        "dataset": {
            "name": dataset.name,
            "variant": dataset.variant,
            "content_hash": dataset.content_hash,
            "source": dataset.source,
            "terms": card.terms,
        },
        "classes": [asdict(one) for one in card.classes],
        "scores": [_score(one) for one in card.scored],
        "provenance": {**provenance, "made": made},
    }


def _score(one: Scored) -> Mapping[str, Any]:
    return {
        "protocol": one.protocol,
        "network": one.network,
        "artifacts": one.names,
        "best_pct": [score.best_pct for score in one.scores],
        "last_pct": [score.last_pct for score in one.scores],
        "expected_best_pct": one.expected[0],
        "expected_last_pct": one.expected[1],
        "options": one.line.words,
    }
