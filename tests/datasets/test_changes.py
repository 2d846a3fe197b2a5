"""The decoded bytes are those that were hashed: a file that changes in between is an error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.datasets.conftest import MakeFolder
from tests.datasets.published import jpeg, opened
from tests.datasets.test_cifar import make as make_cifar
from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets import digits
from uvlp.pipeline.datasets import open_dataset

READERS: dict[str, Callable[[Dataset], object]] = {
    "images": lambda dataset: dataset.images("train", [0], 8),
    "originals": lambda dataset: dataset.originals("train", [0]),
}


def refused(dataset: Dataset, read: Callable[[Dataset], object], path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        read(dataset)
    assert (caught.value.what, caught.value.got) == ("a file changed while it was read", str(path.resolve()))
    assert caught.value.fix and "nothing was stored" in caught.value.fix


@pytest.fixture
def spec(make_folder: MakeFolder) -> DatasetSpec:
    root = make_folder(cat=(2, 1), dog=(2, 1))
    rows = {"file_name": "cat/0.png", "text": "a cat"}
    (root / "train" / "metadata.jsonl").write_text(json.dumps(rows) + "\n")
    return DatasetSpec(name="folder", argument=str(root))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("how", READERS)
def test_a_changed_image_is_refused(spec: DatasetSpec, cache: Path, how: str, known: bool) -> None:
    victim = Path(spec.argument) / "train" / "cat" / "0.png"
    if known:
        open_dataset(spec, cache, Progress())
    dataset = open_dataset(spec, cache, Progress())
    first = READERS[how](dataset)
    shutil.copy(victim.with_name("1.png"), victim)
    refused(dataset, READERS[how], victim)
    assert first is not None


def test_changed_captions_are_refused(spec: DatasetSpec, cache: Path) -> None:
    dataset = open_dataset(spec, cache, Progress())
    path = Path(spec.argument) / "train" / "metadata.jsonl"
    path.write_text(path.read_text().replace("a cat", "a dog"))
    refused(dataset, lambda changed: changed.captions(), path)


@pytest.mark.parametrize("how", READERS)
def test_a_changed_image_of_a_published_dataset_is_refused(tmp_path: Path, cache: Path, how: str) -> None:
    from uvlp.datasets.files.class_lists import wordnet_classes

    for number, entry in enumerate(wordnet_classes("imagenette")):
        for split in ("train", "val"):
            (tmp_path / split / entry.id).mkdir(parents=True)
            (tmp_path / split / entry.id / "1.JPEG").write_bytes(jpeg(number))
    dataset = opened("imagenette", tmp_path, cache)
    victim = tmp_path / dataset.files("train")[0]
    victim.write_bytes(jpeg(99))
    refused(dataset, READERS[how], victim)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("how", READERS)
def test_a_changed_record_is_refused(tmp_path: Path, cache: Path, name: str, how: str) -> None:
    make_cifar(tmp_path, name)
    opened(name, tmp_path, cache)
    dataset = opened(name, tmp_path, cache)
    binaries = sorted(tmp_path.rglob("*.bin"))
    victim = next(path for path in binaries if path.name in ("train.bin", "data_batch_1.bin"))
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        READERS[how](dataset)
    assert caught.value.got == str(victim.resolve())


def test_changed_digits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    copy = Path(shutil.copy(digits._data_file(), tmp_path / "digits.csv.gz"))
    monkeypatch.setattr(digits, "_data_file", lambda: copy)
    spec = DatasetSpec(name="digits")
    open_dataset(spec, cache, Progress())
    dataset = open_dataset(spec, cache, Progress())
    copy.write_bytes(copy.read_bytes() + b"\0")
    refused(dataset, READERS["images"], copy)


def test_content_that_does_not_match_the_key_is_refused(spec: DatasetSpec, cache: Path) -> None:
    before = open_dataset(spec, cache, Progress()).manifest.content_hash
    shutil.copy(Path(spec.argument) / "train/cat/1.png", Path(spec.argument) / "train/cat/0.png")
    with pytest.raises(UvlpError) as caught:
        open_dataset(spec, cache, Progress(), before)
    assert caught.value.got != caught.value.allowed and before[:16] in str(caught.value.allowed)
