"""An exported folder holds the store's bytes, is what other libraries load, and is complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import yaml

from tests.exchange.sets import IDS, put_score, put_set
from uvlp.artifacts import distilled
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.exchange.export_folder import Exported, export, read_sums
from uvlp.exchange.export_sets import find

UNSORTED = ("cow", "ant", "bee")


def exported(store: Store, out: Path, name: str = "uvlp", repository: str = "") -> Exported:
    return export(find(name, store), store, out, repository, Progress())


def refused(store: Store, out: Path, name: str = "uvlp") -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        exported(store, out, name)
    return caught.value


def rows(out: Path) -> list[dict[str, object]]:
    text = (out / "train" / "metadata.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_images_are_the_bytes_of_the_store(tmp_path: Path) -> None:
    store, task = put_set(tmp_path / "store")
    events: list[Event] = []
    chosen = find("uvlp", store)
    done = export(chosen, store, tmp_path / "out", "", Progress(events.append))
    assert done.new and done.card.images == 6 and events[-1].done == 6
    for name in IDS:
        for slot in range(2):
            path = Path("train", name, f"{slot:05d}.png")
            assert (tmp_path / "out" / path).read_bytes() == (store.folder(task) / path).read_bytes()
    assert [
        (row["file_name"], row["label"], row["class_name"], row["text"]) for row in rows(tmp_path / "out")
    ] == [
        (f"{name}/{slot:05d}.png", label, f"the {name}", f"a {name}, number {slot}")
        for label, name in enumerate(IDS)
        for slot in range(2)
    ]
    assert "source" not in rows(tmp_path / "out")[0], "a column without values"
    assert {path.name for path in tmp_path.iterdir()} == {"store", "out"}


def test_every_file_has_its_hash(tmp_path: Path) -> None:
    store, _ = put_set(tmp_path / "store")
    out = exported(store, tmp_path / "out").folder
    sums = read_sums(out / "SHA256SUMS")
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {*sums, "SHA256SUMS"}
    assert all(
        hashlib.sha256((out / name).read_bytes()).hexdigest() == sha256 for name, sha256 in sums.items()
    )


def test_the_manifest_says_what_it_is_and_not_where_it_was_made(tmp_path: Path) -> None:
    store, task = put_set(tmp_path / "store")
    score = put_score(store, task, 1)
    out = exported(store, tmp_path / "out").folder
    manifest = json.loads((out / "uvlp_export.json").read_text(encoding="utf-8"))
    assert manifest["artifact"] == task.name and manifest["images_per_class"] == 2
    assert [(one["index"], one["id"], one["folder"]) for one in manifest["classes"]] == [
        (index, name, name) for index, name in enumerate(IDS)
    ]
    assert manifest["scores"][0]["artifacts"] == [score]
    assert manifest["provenance"]["facts"]["seed"] == 0
    assert set(manifest["provenance"]["made"]) == {"at", "versions"}


def test_folders_are_numbered_where_sorting_would_change_the_labels(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    store, _ = put_set(tmp_path / "store", ids=UNSORTED)
    out = exported(store, tmp_path / "out").folder
    assert sorted(path.name for path in (out / "train").iterdir() if path.is_dir()) == [
        "00000",
        "00001",
        "00002",
    ]
    loaded = ImageFolder(str(out / "train"))
    assert [label for _, label in loaded.samples] == [row["label"] for row in rows(out)]
    assert [row["class_id"] for row in rows(out)] == [name for name in UNSORTED for _ in range(2)]


@pytest.mark.slow
def test_datasets_and_torchvision_load_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import ImageFolder

    store, task = put_set(tmp_path / "store")
    out = exported(store, tmp_path / "out").folder
    code = (
        "import sys, json, datasets, numpy\n"
        "images = datasets.load_dataset('imagefolder', data_dir=sys.argv[1], split='train')\n"
        "pixels = [numpy.asarray(image).sum().item() for image in images['image']]\n"
        "found = {'columns': images.column_names, 'pixels': pixels}\n"
        "print(json.dumps(found | {name: images[name][:] for name in ('label', 'text')}))\n"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code, str(out)], capture_output=True, text=True, env=environment, check=True
    )
    loaded = json.loads(ran.stdout)
    entries = distilled.read_entries(store.folder(task))
    assert loaded["label"] == [entry.label for entry in entries]
    assert loaded["text"] == [entry.text for entry in entries]
    assert {"image", "label", "class_id", "class_name", "text"} == set(loaded["columns"])
    pixels = [distilled.read_image(store.folder(task), entry) for entry in entries]
    assert loaded["pixels"] == [int(each.sum()) for each in pixels]
    for (image, label), entry, own in zip(ImageFolder(str(out / "train")), entries, pixels, strict=True):
        assert label == entry.label and (numpy.asarray(image) == own).all()


def test_the_card_is_valid_for_the_hub(tmp_path: Path) -> None:
    from huggingface_hub import DatasetCard

    store, _ = put_set(tmp_path / "store")
    text = (exported(store, tmp_path / "out").folder / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "other" and head["size_categories"] == ["n<1K"]
    assert DatasetCard(text).data.to_dict()["task_categories"] == ["image-classification"]


def test_the_same_export_is_kept_and_another_one_refused(tmp_path: Path) -> None:
    store, task = put_set(tmp_path / "store")
    put_set(tmp_path / "store", "random")
    out = tmp_path / "out"
    exported(store, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert not exported(store, out).new
    assert refused(store, out, "random").got == task.name
    put_score(store, task, 1)  # the card would say something else now
    error = refused(store, out)
    assert str(out) in error.what and "README.md differs" in str(error.got)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert {path.name for path in tmp_path.iterdir()} == {"store", "out"}


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_an_export_that_was_changed_is_refused(damage: str, tmp_path: Path) -> None:
    store, _ = put_set(tmp_path / "store")
    out = exported(store, tmp_path / "out").folder
    image = out / "train" / "bee" / "00000.png"
    match damage:
        case "changed":
            image.write_bytes(b"")
        case "missing":
            image.unlink()
        case "added":
            image.with_name("00009.png").write_bytes(b"")
    assert "train/bee/0000" in str(refused(store, out).got)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    store, _ = put_set(tmp_path / "store")
    (tmp_path / "out").mkdir()
    assert exported(store, tmp_path / "out").new, "an empty folder is taken"
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine", encoding="utf-8")
    assert str(other) in refused(store, other).what
    assert [path.name for path in other.iterdir()] == ["mine.txt"]
    assert refused(store, tmp_path / "store" / "here").got == str(tmp_path / "store" / "here")
    file = other / "mine.txt"
    assert refused(store, file).got == "not a folder" and file.read_text(encoding="utf-8") == "mine"


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = put_set(tmp_path / "store")
    write, count = Path.write_bytes, [0]

    def full(path: Path, content: bytes) -> int:
        count[0] += 1
        if count[0] == 4:
            write(path, content[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    error = refused(store, tmp_path / "out")
    assert count[0] == 4 and "No space left" in error.what and error.got == str(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


def test_a_disk_that_is_too_small_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = put_set(tmp_path / "store")
    monkeypatch.setattr("uvlp.core.files.disk_space.free_bytes", lambda folder: 1)
    assert "too small" in refused(store, tmp_path / "out").what
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


def test_a_killed_export_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    put_set(tmp_path / "store")
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from uvlp.artifacts.store import Store\n"
        "from uvlp.core.progress import Progress\n"
        "from uvlp.exchange import export_folder, export_sets\n"
        "copy, store = export_folder._copy, Store(Path(sys.argv[1]))\n"
        "def slow(*arguments):\n"
        "    done = copy(*arguments)\n"
        "    print('copied', flush=True)\n"
        "    time.sleep(60)\n"
        "    return done\n"
        "export_folder._copy = slow\n"
        "export_folder.export(export_sets.find('uvlp', store), store, Path(sys.argv[2]), '', Progress())\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None and victim.stdout.readline() == b"copied\n"
        victim.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    assert exported(Store(tmp_path / "store"), tmp_path / "out").new
