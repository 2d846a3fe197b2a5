"""cifar10, cifar100: records, class names, order, errors, download."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.datasets.files.file_server import serving
from tests.datasets.published import opened, refusal
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.hashing import CLOCK_TICK_NS
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_lists import numbered_classes

REPOSITORY = Path(__file__).parents[2]
FOLDER = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
SETS = tuple(FOLDER)


def record(name: str, label: int, number: int) -> bytes:
    """One record whose red, green and blue are ``number``, 100 and the row's index."""
    red, green = numpy.full(1024, number, numpy.uint8), numpy.full(1024, 100, numpy.uint8)
    blue = numpy.repeat(numpy.arange(32, dtype=numpy.uint8), 32)
    labels = [label] if name == "cifar10" else [label % 20, label]
    return bytes(labels) + red.tobytes() + green.tobytes() + blue.tobytes()


def make(root: Path, name: str) -> Path:
    """Two training records per class, with descending, then ascending labels; one test record per class."""
    classes = [entry.id for entry in numbered_classes(name)]
    folder = root / FOLDER[name]
    folder.mkdir(parents=True)
    order = [*reversed(range(len(classes))), *range(len(classes))]
    train = [record(name, label, number) for number, label in enumerate(order)]
    val = [record(name, label, 200) for label in range(len(classes))]
    if name == "cifar10":
        for number in range(5):
            (folder / f"data_batch_{number + 1}.bin").write_bytes(
                b"".join(train[4 * number : 4 * number + 4])
            )
        (folder / "test_batch.bin").write_bytes(b"".join(val))
        (folder / "batches.meta.txt").write_text("\n".join(classes) + "\n\n")
    else:
        (folder / "train.bin").write_bytes(b"".join(train))
        (folder / "test.bin").write_bytes(b"".join(val))
        (folder / "fine_label_names.txt").write_text("\n".join(classes) + "\n")
    return folder


@pytest.mark.parametrize("name", SETS)
def test_images_are_named_by_their_record_number(name: str, tmp_path: Path, cache: Path) -> None:
    make(tmp_path, name)
    dataset = opened(name, tmp_path, cache)
    classes = [entry.id for entry in numbered_classes(name)]
    last = len(classes) - 1
    manifest = dataset.manifest
    assert [entry.id for entry in manifest.classes] == classes
    assert {(entry.train, entry.val) for entry in manifest.classes} == {(2, 1)}
    assert (manifest.image_px, manifest.variant) == (32, "")
    assert manifest.notes == (
        f"train/ has {2 * len(classes)} images, {name} has 50,000",
        f"val/ has {len(classes)} images, {name} has 10,000",
    )
    # The first class is the last descending record and the first ascending one.
    assert dataset.files("train")[:2] == (
        f"train/{classes[0]}/{last:05d}.png",
        f"train/{classes[0]}/{last + 1:05d}.png",
    )
    assert dataset.labels("train") == tuple(label for label in range(len(classes)) for _ in range(2))
    image = dataset.originals("train", [1])[0]
    assert (image.shape, image.dtype) == ((32, 32, 3), numpy.uint8)
    assert (image[:, :, 0] == last + 1).all() and (image[:, :, 1] == 100).all()
    numpy.testing.assert_array_equal(image[:, :, 2], numpy.repeat(numpy.arange(32), 32).reshape(32, 32))


def test_images_are_resized_bilinearly(tmp_path: Path, cache: Path) -> None:
    make(tmp_path, "cifar10")
    dataset = opened("cifar10", tmp_path / FOLDER["cifar10"], cache)
    same = dataset.images("val", [9, 0], 32)
    numpy.testing.assert_array_equal(same[0], dataset.originals("val", [9])[0])
    large = Image.fromarray(same[1]).resize((48, 48), Image.Resampling.BILINEAR)
    numpy.testing.assert_array_equal(dataset.images("val", [9, 0], 48)[1], numpy.asarray(large))


def test_class_names_have_spaces_and_are_their_own_synonyms(tmp_path: Path, cache: Path) -> None:
    make(tmp_path, "cifar100")
    fish = opened("cifar100", tmp_path, cache).manifest.classes[1]
    assert (fish.id, fish.name, fish.synonyms) == ("aquarium_fish", "aquarium fish", "aquarium fish")


def test_captions_are_read_and_hashed(tmp_path: Path, cache: Path) -> None:
    folder = make(tmp_path, "cifar10")
    before = opened("cifar10", tmp_path, cache)
    assert before.captions() is None
    (folder / "train").mkdir()
    rows = [{"file_name": "airplane/00009.png", "text": "a"}, {"file_name": "00010.png", "text": "b"}]
    (folder / "train/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    after = opened("cifar10", tmp_path, cache)
    assert after.captions() == {"airplane/00009.png": "a", "airplane/00010.png": "b"}
    assert after.manifest.content_hash != before.manifest.content_hash


@pytest.mark.parametrize("name", SETS)
def test_a_cached_manifest_reads_no_record_and_imports_nothing(
    name: str, tmp_path: Path, cache: Path
) -> None:
    make(tmp_path, name)
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    first = opened(name, tmp_path, cache)
    code = (
        "import sys, pathlib, uvlp.core.hashing as hashing, uvlp.datasets.files.binary_images as binary\n"
        "from uvlp.artifacts.dataset import DatasetSpec\n"
        f"from uvlp.datasets.{name} import open_dataset\n"
        "hashing.file_sha256 = None\n"
        "read, binary.read_hashed = binary.read_hashed, None\n"
        f"dataset = open_dataset(DatasetSpec(name='{name}', data=sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "print(dataset.manifest.content_hash)\n"
        "binary.read_hashed = read\n"
        "print(dataset.files('train')[5])\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'sklearn') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(cache)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [first.manifest.content_hash, first.files("train")[5], "[]"]


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (lambda content: content[:-1], "12,291 bytes"),
        (lambda content: b"", "an empty file"),
        (lambda content: bytes([10]) + content[1:], 10),
    ],
)
def test_damaged_records_are_refused(damage, got: object, tmp_path: Path, cache: Path) -> None:
    path = make(tmp_path, "cifar10") / "data_batch_2.bin"
    path.write_bytes(damage(path.read_bytes()))
    assert refusal("cifar10", tmp_path, cache).got == got


def test_a_class_without_images_is_refused(tmp_path: Path, cache: Path) -> None:
    path = make(tmp_path, "cifar10") / "test_batch.bin"
    path.write_bytes(path.read_bytes()[3073:])
    assert refusal("cifar10", tmp_path, cache).got == "airplane"


def test_a_missing_file_is_named_in_the_error(tmp_path: Path, cache: Path) -> None:
    (make(tmp_path, "cifar10") / "data_batch_4.bin").unlink()
    error = refusal("cifar10", tmp_path, cache)
    assert error.what.endswith("data_batch_4.bin") and error.got == "No such file or directory"


def test_unexpected_class_names_are_refused(tmp_path: Path, cache: Path) -> None:
    path = make(tmp_path, "cifar100") / "fine_label_names.txt"
    path.write_text(path.read_text().replace("apple", "apples"))
    assert refusal("cifar100", tmp_path, cache).got == "apples"


@pytest.mark.parametrize("name", SETS)
def test_a_missing_dataset_suggests_the_download(name: str, tmp_path: Path, cache: Path) -> None:
    assert f"`uvlp fetch {name}`" in str(refusal(name, tmp_path, cache).fix)


@pytest.mark.parametrize(
    ("name", "url", "md5"),
    [
        (
            "cifar10",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
        (
            "cifar100",
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
        ),
    ],
)
def test_fetch_then_open(
    name: str, url: str, md5: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    module = plugins.load("datasets", name)
    archive = module.SET.layout.archive
    assert (archive.url, archive.md5) == (url, md5)
    spec = DatasetSpec(name=name, data=str(tmp_path / "data"))
    assert module.download(spec).bytes == archive.bytes
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.add(make(tmp_path / "source", name), FOLDER[name])
    with serving() as server:
        server.files[archive.name] = buffer.getvalue()
        own = replace(
            archive,
            url=f"{server.url}/{archive.name}",
            md5=hashlib.md5(buffer.getvalue()).hexdigest(),
        )
        here = replace(module.SET, layout=replace(module.SET.layout, archive=own))
        for _ in range(2):
            here.fetch(spec, Progress())
        assert len(server.requests) == 1
    assert module.download(spec) is None
    assert opened(name, tmp_path / "data", cache).manifest.classes[0].train == 2
