"""Archives of image files, and the dataset that a job of a cluster reads from its copy of them."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.conftest import MakeFolder
from uvlp.artifacts.dataset import SPLITS, STAGED, Dataset, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.files import disk_space
from uvlp.core.progress import Event, Progress
from uvlp.core.wording import byte_size
from uvlp.datasets.files.image_folder import ImageFolder, open_image_folder
from uvlp.datasets.staging import archives, staged
from uvlp.pipeline.datasets import open_dataset


@pytest.fixture
def images(make_folder: MakeFolder) -> Path:
    root = make_folder(cat=(3, 2), dog=(2, 1))
    rows = '{"file_name": "cat/0.png", "text": "a cat"}\n'
    (root / "train" / "metadata.jsonl").write_text(rows, encoding="utf-8")
    return root


@pytest.fixture
def folder(images: Path, cache: Path) -> ImageFolder:
    opened = open_image_folder(images, str(images), cache, Progress())
    archives.write(opened, cache, Progress())
    return opened


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "local"
    path.mkdir()
    monkeypatch.setenv(STAGED, str(path))
    return path


@pytest.fixture
def read(folder: ImageFolder, cache: Path, local: Path) -> Callable[..., Dataset]:
    """Open the dataset as a job does, without a look into its folder."""

    def opened(progress: Progress | None = None) -> Dataset:
        def shared() -> Dataset:
            raise AssertionError("the shared folder was opened")

        return staged.opened(cache, folder.manifest.content_hash, progress or Progress(), shared)

    return opened


def archive(folder: ImageFolder, cache: Path, split: str) -> Path:
    return archives.archive_of(archives.folder_of(cache, folder.manifest.content_hash), split)


def copies(local: Path) -> set[str]:
    return {path.name.rpartition("-")[2] for path in local.iterdir()}


def local_name(dataset: Dataset) -> str:
    return dataset.manifest.content_hash[: archives.NAME_LENGTH]


def test_it_is_the_same_dataset_without_its_folder(
    folder: ImageFolder, read: Callable[..., Dataset], images: Path
) -> None:
    wanted = {split: folder.originals(split, range(3)) for split in SPLITS}
    squashed, captions = folder.images("train", [4, 0], 5), folder.captions()
    names, labels = ([f(split) for split in SPLITS] for f in (folder.files, folder.labels))
    shutil.rmtree(images)
    same = read()
    assert same.manifest == folder.manifest and same.captions() == captions == {"cat/0.png": "a cat"}
    assert [same.files(split) for split in SPLITS] == names
    assert [same.labels(split) for split in SPLITS] == labels
    np.testing.assert_array_equal(same.images("train", [4, 0], 5), squashed)
    for split in SPLITS:
        np.testing.assert_array_equal(same.originals(split, range(3)), wanted[split])


def test_an_archive_is_a_tar_file(folder: ImageFolder, cache: Path, images: Path) -> None:
    with tarfile.open(archive(folder, cache, "train"), "r:") as tar:
        assert tuple(tar.getnames()) == folder.files("train")
        content = tar.extractfile("train/cat/0.png")
        assert content is not None and content.read() == (images / "train/cat/0.png").read_bytes()
    size = archives.stored_bytes(folder, "train")
    assert archive(folder, cache, "train").stat().st_size == size


def test_only_splits_that_are_read_are_copied(read: Callable[..., Dataset], local: Path) -> None:
    events: list[Event] = []
    dataset = read(Progress(events.append))
    dataset.files("train"), dataset.captions()
    assert not copies(local)
    dataset.originals("val", [0])
    dataset.originals("val", [1])
    assert copies(local) == {"val.tar"}
    (event,) = [each for each in events if each.message]
    size = byte_size((local / f"{local_name(dataset)}-val.tar").stat().st_size)
    assert event.message == f"copying the images of val, {size}, to {local}"


def test_processes_of_a_job_share_one_copy(
    read: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    copy = shutil.copyfile

    def counted(source: Path, target: Path) -> Path:
        calls.append(source)
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", counted)
    several = [read() for _ in range(4)]
    with ThreadPoolExecutor(len(several)) as pool:
        found = list(pool.map(lambda each: each.originals("train", [0])[0], several))
    assert len(calls) == 1 and all((each == found[0]).all() for each in found)


def test_a_truncated_archive_is_named(
    folder: ImageFolder, read: Callable[..., Dataset], cache: Path, local: Path
) -> None:
    path = archive(folder, cache, "train")
    os.truncate(path, path.stat().st_size - 512)
    with pytest.raises(UvlpError) as caught:
        read().originals("train", [0])
    assert caught.value.got == str(path) and not copies(local) - {"train.lease"}
    assert not archives.is_written(cache, folder.manifest.content_hash), "the next command writes it again"
    archives.write(folder, cache, Progress())
    assert len(read().originals("train", [0])) == 1


def test_a_changed_byte_is_noticed(folder: ImageFolder, read: Callable[..., Dataset], cache: Path) -> None:
    path = archive(folder, cache, "train")
    content = bytearray(path.read_bytes())
    content[512 + 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        read().originals("train", range(5))
    assert caught.value.got == str(path)


def test_a_disk_that_is_too_small(
    read: Callable[..., Dataset], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "free_bytes", lambda folder: 1000)
    with pytest.raises(UvlpError) as caught:
        read().originals("val", [0])
    error = caught.value
    assert "staged images of val" in error.what and str(error.got) == f"1.0 kB free in {local}"
    assert error.allowed is not None and error.allowed.endswith("or more") and copies(local) == set()


def test_a_node_that_names_no_disk(read: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STAGED, "")
    dataset = read()
    assert len(dataset.files("train")) == 5, "only images need it"
    with pytest.raises(UvlpError) as caught:
        dataset.images("train", [0], 4)
    assert caught.value.allowed is not None and "TMPDIR" in caught.value.allowed


def test_the_dataset_itself_is_read_unless_the_job_is_told_otherwise(
    folder: ImageFolder, images: Path, cache: Path, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, content = DatasetSpec(name="folder", argument=str(images)), folder.manifest.content_hash
    open_dataset(spec, cache, Progress(), content).originals("val", [0])
    assert copies(local) == {"val.tar"}
    shutil.rmtree(archives.folder_of(cache, content))
    with pytest.raises(UvlpError) as caught:
        open_dataset(spec, cache, Progress(), content)
    assert "archive" in caught.value.what
    digits = open_dataset(DatasetSpec(name="digits"), cache, Progress())
    again = open_dataset(DatasetSpec(name="digits"), cache, Progress(), digits.manifest.content_hash)
    assert len(again.originals("val", [0])) == 1, "no file of its own"
    monkeypatch.delenv(STAGED)
    open_dataset(spec, cache, Progress(), content).originals("train", [0])
    assert copies(local) == {"val.tar"}


def test_what_was_complete_is_kept_after_an_interruption(
    folder: ImageFolder, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = (archive(folder, cache, split) for split in SPLITS)
    (train.parent / archives.INDEX).unlink()
    val.unlink()
    left = train.with_name(".val.tar.left")
    left.touch()
    before = train.stat().st_ino
    archives.write(folder, cache, Progress())
    assert train.stat().st_ino == before and val.is_file() and not left.exists()
    assert archives.is_written(cache, folder.manifest.content_hash)


def test_a_file_that_has_changed_is_not_archived(images: Path, cache: Path) -> None:
    opened = open_image_folder(images, str(images), cache, Progress())
    shutil.copyfile(images / "train/cat/0.png", images / "train/dog/1.png")
    with pytest.raises(UvlpError) as caught:
        archives.write(opened, cache, Progress())
    assert "changed" in caught.value.what
    assert not archive(opened, cache, "train").exists()


def test_an_error_in_captions_is_due_when_they_are_read(images: Path, cache: Path, local: Path) -> None:
    (images / "train" / "metadata.jsonl").write_text(
        '{"file_name": "cat/9.png", "text": "a"}\n', encoding="utf-8"
    )
    opened = open_image_folder(images, str(images), cache, Progress())
    with pytest.raises(UvlpError) as wanted:
        opened.captions()
    archives.write(opened, cache, Progress())
    same = staged.opened(cache, opened.manifest.content_hash, Progress(), lambda: opened)
    with pytest.raises(UvlpError) as caught:
        same.captions()
    assert str(caught.value) == str(wanted.value) and same is not opened
