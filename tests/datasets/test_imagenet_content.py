"""ImageNet's datasets: caching, captions and images."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.datasets.published import jpeg, opened
from uvlp.core import hashing
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import CLOCK_TICK_NS
from uvlp.core.progress import Event, Progress
from uvlp.datasets.files.class_lists import wordnet_classes

REPOSITORY = Path(__file__).parents[2]

NETTE = [entry.id for entry in wordnet_classes("imagenette")]


def test_a_cached_dataset_reads_no_image_and_imports_nothing(data: Path, cache: Path) -> None:
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    events: list[Event] = []
    first = opened("imagenette", data, cache, progress=Progress(events.append)).manifest
    assert events[-1] == Event("hash files", 30, 30)
    code = (
        "import sys, pathlib, uvlp.core.hashing as hashing\n"
        "from uvlp.artifacts.dataset import DatasetSpec\n"
        "from uvlp.datasets.imagenette import open_dataset\n"
        "hashing.file_sha256 = None\n"
        "spec = DatasetSpec(name='imagenette', data=sys.argv[1])\n"
        "dataset = open_dataset(spec, pathlib.Path(sys.argv[2]))\n"
        "print(dataset.manifest.content_hash, len(dataset.files('train')), len(dataset.labels('val')))\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'sklearn') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(data), str(cache)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [f"{first.content_hash} 20 10", "[]"]


def test_after_a_change_only_its_class_is_read_again(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    before = opened("imagenette", data, cache).manifest.content_hash
    changed = data / "imagenette2/train" / NETTE[4]
    (changed / f"{NETTE[4]}_12.JPEG").write_bytes(jpeg(999))
    read: list[Path] = []
    original = hashing.file_sha256

    def spy(path: Path) -> str:
        read.append(path)
        return original(path)

    monkeypatch.setattr(hashing, "file_sha256", spy)
    assert opened("imagenette", data, cache).manifest.content_hash != before
    assert {path.parent for path in read} == {changed}
    assert len(read) == 2


def test_the_cache_is_small(data: Path, cache: Path) -> None:
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    opened("imagenette", data, cache)
    (record,) = cache.glob("groups-*")
    images = sum(1 for path in data.rglob("*") if path.is_file())
    assert record.stat().st_size < 250 * 20 + 44 * images, "a line per class and split, 32 bytes per image"


def test_captions_are_looked_up_as_in_the_published_code(data: Path, cache: Path) -> None:
    without = opened("imagenette", data, cache).manifest.content_hash
    one, two, three = opened("imagenette", data, cache).files("train")[:3]
    rows = {
        one.removeprefix("train/"): "in its folder",
        Path(two).name: "by its bare name",
        three.removeprefix("train/"): "",  # an empty one counts as none
        "n01440764/n01440764_777.JPEG": "of an image that is not in the dataset",
    }
    lines = [json.dumps({"file_name": name, "text": text}) for name, text in rows.items()]
    (data / "imagenette2/train/metadata.jsonl").write_text("\n".join(lines))
    dataset = opened("imagenette", data, cache)
    assert dataset.captions() == {
        one.removeprefix("train/"): "in its folder",
        two.removeprefix("train/"): "by its bare name",
    }
    assert dataset.manifest.content_hash != without


def test_captions_in_the_top_folder_include_the_split(data: Path, cache: Path) -> None:
    row = {"file_name": f"train/{NETTE[0]}/{NETTE[0]}_0.JPEG", "text": "a fish"}
    (data / "imagenette2/metadata.jsonl").write_text(json.dumps(row))
    assert opened("imagenette", data, cache).captions() == {f"{NETTE[0]}/{NETTE[0]}_0.JPEG": "a fish"}


def test_unusual_image_formats_are_read(data: Path, cache: Path) -> None:
    folder = data / "imagenette2/train" / NETTE[0]
    pixels = numpy.zeros((4, 6, 3), dtype=numpy.uint8)
    pixels[:, :3] = 255
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    picture.convert("CMYK").save(folder / "a.JPEG", "JPEG", quality=95)
    picture.save(folder / "b.JPEG", "PNG")
    picture.convert("P").save(folder / "c.JPEG", "PNG")
    Image.fromarray(numpy.full((4, 6), 40_000, dtype=numpy.uint16)).save(folder / "d.png")
    picture.convert("L").save(folder / "e.JPEG", "JPEG")
    picture.save(folder / "f.JPEG", "JPEG", exif=exif, quality=95)
    dataset = opened("imagenette", data, cache)
    rows = [row for row, name in enumerate(dataset.files("train")) if re.search(r"/[a-f]\.", name)]
    images = dataset.originals("train", rows)
    assert [image.shape for image in images] == [(4, 6, 3)] * 5 + [(6, 4, 3)]
    for image in (images[0], images[1], images[2], images[4]):
        assert image[:, 0].min() > 200 and image[:, 5].max() < 55
    assert (images[3] == 40_000 >> 8).all()
    assert dataset.images("train", rows, 8).shape == (6, 8, 8, 3)


@pytest.mark.parametrize("content", [b"", b"no image", jpeg(0)[:60], b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_a_file_that_is_not_an_image_is_refused_on_opening(content: bytes, data: Path, cache: Path) -> None:
    path = data / "imagenette2/val" / NETTE[7] / "ILSVRC2012_val_00000099.JPEG"
    path.write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        opened("imagenette", data, cache)
    assert caught.value.what == f"cannot read the image {path}"
    path.write_bytes(jpeg(0))
    assert len(opened("imagenette", data, cache).files("val")) == 11


def test_a_truncated_image_is_refused_when_it_is_read(data: Path, cache: Path) -> None:
    path = data / "imagenette2/train" / NETTE[0] / f"{NETTE[0]}_0.JPEG"
    path.write_bytes(path.read_bytes()[:-60])
    dataset = opened("imagenette", data, cache)
    with pytest.raises(UvlpError) as caught:
        dataset.images("train", [0], 8)
    assert caught.value.what == f"cannot read the image {path}"
