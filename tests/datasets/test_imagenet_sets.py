"""imagenette, imagewoof, imageidc, imagenet100, imagenet1k: layouts, variants, counts, captions, fetching."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy
import pytest
from PIL import Image

from tests.datasets.files.file_server import FileServer, serving
from tests.datasets.published import fill, jpeg, opened
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import hashing, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import CLOCK_TICK_NS
from uvlp.core.progress import Event, Progress
from uvlp.datasets.files.class_lists import wordnet_classes

REPOSITORY = Path(__file__).parents[2]
NETTE = [entry.id for entry in wordnet_classes("imagenette")]
WOOF = [entry.id for entry in wordnet_classes("imagewoof")]
ILSVRC_SETS = ("imageidc", "imagenet100", "imagenet1k")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "store" / "datasets"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with imagenette2/ in it."""
    fill(tmp_path / "data" / "imagenette2", NETTE)
    return tmp_path / "data"


def refusal(name: str, data: Path, cache: Path, variant: str = "") -> str:
    with pytest.raises(UvlpError) as caught:
        opened(name, data, cache, variant)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_imagenette_as_fast_ai_packs_it(data: Path, cache: Path) -> None:
    dataset = opened("imagenette", data, cache)
    manifest = dataset.manifest
    assert (manifest.name, manifest.variant, manifest.image_px) == ("imagenette", "fastai", 0)
    assert [entry.id for entry in manifest.classes] == NETTE == sorted(NETTE)
    tench = manifest.classes[0]
    assert (tench.name, tench.synonyms, tench.train, tench.val) == ("tench", "tench, Tinca tinca", 2, 1)
    assert manifest.notes == (
        "train/ has 20 images, imagenette (fastai) has 9,469",
        "val/ has 10 images, imagenette (fastai) has 3,925",
    )
    assert dataset.files("train")[:3] == (
        *("train/n01440764/n01440764_0.JPEG", "train/n01440764/n01440764_1.JPEG"),
        "train/n02102040/n02102040_3.JPEG",
    )
    assert dataset.labels("train")[:3] == (0, 0, 1)
    assert dataset.captions() is None
    expected = numpy.asarray(Image.open(io.BytesIO(jpeg(3))))
    numpy.testing.assert_array_equal(dataset.originals("train", [2])[0], expected)


def test_data_may_be_the_set_itself_and_its_place_is_no_part_of_the_hash(data: Path, cache: Path) -> None:
    above, itself = (opened("imagenette", root, cache).manifest for root in (data, data / "imagenette2"))
    assert above == itself
    moved = (data / "imagenette2").rename(data / "elsewhere")
    assert opened("imagenette", moved, cache).manifest.content_hash == above.content_hash


def test_the_known_counts_give_no_remark(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = plugins.load("datasets", "imagenette")
    monkeypatch.setattr(module, "SET", replace(module.SET, counts=(20, 10)))
    assert opened("imagenette", data, cache).manifest.notes == ()


@pytest.mark.parametrize(
    ("name", "variant", "counts"),
    [
        ("imagenette", "fastai", ("9,469", "3,925")),
        ("imagenette", "ilsvrc", ("12,894", "500")),
        ("imagewoof", "fastai", ("9,025", "3,929")),
        ("imagewoof", "ilsvrc", ("12,454", "500")),
        ("imageidc", "", (None, "500")),
        ("imagenet100", "", (None, "5,000")),
        ("imagenet1k", "", ("1,281,167", "50,000")),
    ],
)
def test_other_counts_than_the_known_ones_are_said(
    name: str, variant: str, counts: tuple[str | None, str], tmp_path: Path, cache: Path
) -> None:
    ids = [entry.id for entry in wordnet_classes(name)]
    manifest = opened(name, fill(tmp_path / "set", ids, (1, 1)), cache, variant).manifest
    title = f"{name} ({variant})" if variant else name
    assert manifest.variant == variant
    assert manifest.notes == tuple(
        f"{split}/ has {len(ids):,} images, {title} has {known}"
        for split, known in zip(("train", "val"), counts, strict=True)
        if known
    )


@pytest.mark.parametrize("place", ["", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"])
def test_only_the_wanted_classes_of_ilsvrc_are_taken(place: str, tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "big" / place, [*NETTE, *WOOF, "n99999999"])
    nette = opened("imagenette", tmp_path / "big", cache, "ilsvrc")
    assert [entry.id for entry in nette.manifest.classes] == NETTE
    assert len(nette.files("train")) == 20
    woof = opened("imagewoof", tmp_path / "big", cache, "ilsvrc").manifest
    assert [entry.id for entry in woof.classes] == sorted(WOOF)


def test_the_two_variants_of_the_same_images_have_names_of_their_own(data: Path, cache: Path) -> None:
    ours = [
        opened("imagenette", data / "imagenette2", cache, variant).manifest
        for variant in ("fastai", "ilsvrc")
    ]
    assert [manifest.variant for manifest in ours] == ["fastai", "ilsvrc"]
    assert ours[0].source != ours[1].source


def test_idc_is_in_alphabetical_order_not_in_that_of_its_list(tmp_path: Path, cache: Path) -> None:
    ids = [entry.id for entry in wordnet_classes("imageidc")]
    classes = opened("imageidc", fill(tmp_path, reversed(ids)), cache).manifest.classes
    assert [(entry.index, entry.id, entry.name) for entry in classes][:2] == [
        (0, "n01749939", "green mamba"),
        (1, "n01773797", "garden spider"),
    ]


def test_imagenet1k_takes_no_folder_of_another_class(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "set", [entry.id for entry in wordnet_classes("imagenet1k")], (1, 1), lambda _: b"x")
    (tmp_path / "set/train/n00000001").mkdir()
    line = refusal("imagenet1k", tmp_path / "set", cache)
    assert re.search(r"imagenet1k: .*/train holds 1 folders of no class of it: got 'n00000001'", line)


def test_a_class_that_is_missing_is_named(data: Path, cache: Path) -> None:
    (data / "imagenette2/val" / NETTE[3]).rename(data / "gone")
    line = refusal("imagenette", data, cache)
    assert re.search(rf"/val has no folder for 1 of 10 classes: got 'nothing for {NETTE[3]}'", line)


def test_a_foreign_class_is_named_and_the_other_variant_offered(data: Path, cache: Path) -> None:
    fill(data / "imagenette2", ["n09999999"])
    line = refusal("imagenette", data, cache)
    assert "imagenette (fastai)" in line and "got 'n09999999'" in line and "--variant" in line


def test_a_class_without_images_is_named(data: Path, cache: Path) -> None:
    for path in (data / "imagenette2/train" / NETTE[0]).iterdir():
        path.unlink()
    assert f"class folder without images: {data}/imagenette2/train/{NETTE[0]}" in refusal(
        "imagenette", data, cache
    )


def test_a_flat_val_folder_says_how_to_sort_it(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "set", NETTE, (1, 0))
    for folder in (tmp_path / "set/val").iterdir():
        folder.rmdir()
    for number in range(3):
        (tmp_path / f"set/val/ILSVRC2012_val_{number:08d}.JPEG").write_bytes(jpeg(number))
    line = refusal("imagenette", tmp_path / "set", cache, "ilsvrc")
    assert "val holds images without class folders: got 'ILSVRC2012_val_00000000.JPEG," in line
    assert "valprep.sh" in line


@pytest.mark.parametrize("name", ["imagenette", "imagewoof"])
def test_what_is_not_there_can_be_fetched(name: str, tmp_path: Path, cache: Path) -> None:
    line = refusal(name, tmp_path, cache)
    assert f"the dataset {name} is not there: got 'nothing in {tmp_path}/{name}2'" in line
    assert f"`uvlp fetch {name}`" in line and "--data" in line


@pytest.mark.parametrize(
    ("name", "variant"), [*((name, "") for name in ILSVRC_SETS), ("imagenette", "ilsvrc")]
)
def test_what_cannot_be_fetched_says_which_layout_is_needed(
    name: str, variant: str, tmp_path: Path, cache: Path
) -> None:
    expected = "--data DIR with DIR/train/<wnid>/*.JPEG and DIR/val/<wnid>/*.JPEG of ILSVRC-2012"
    assert expected in refusal(name, tmp_path, cache, variant)
    module, spec = plugins.load("datasets", name), DatasetSpec(name=name, data=str(tmp_path), variant=variant)
    assert module.download(spec) is None
    with pytest.raises(UvlpError, match="cannot be downloaded") as caught:
        module.fetch(spec, Progress())
    assert expected in str(caught.value)
    fill(tmp_path, ["n01440764"])
    module.fetch(spec, Progress())


@pytest.mark.parametrize("name", ["imagenette", "imagewoof", *ILSVRC_SETS])
def test_nothing_stands_behind_the_colon_and_variants_are_known(
    name: str, tmp_path: Path, cache: Path
) -> None:
    module = plugins.load("datasets", name)
    with pytest.raises(UvlpError, match="takes nothing after a colon: got 'x'"):
        module.open_dataset(DatasetSpec(name=name, argument="x", data=str(tmp_path)), cache)
    assert "unknown variant of a dataset: got '320px'" in refusal(name, tmp_path, cache, "320px")


def test_the_published_terrier_names_are_a_variant_with_a_hash_of_its_own(
    tmp_path: Path, cache: Path
) -> None:
    fill(tmp_path / "imagewoof2", WOOF)
    plain = opened("imagewoof", tmp_path, cache).manifest
    swapped = opened("imagewoof", tmp_path, cache, "published-names").manifest
    names = [{entry.id: entry.name for entry in manifest.classes} for manifest in (plain, swapped)]
    assert (names[0]["n02093754"], names[0]["n02096294"]) == ("Border terrier", "Australian terrier")
    assert (names[1]["n02093754"], names[1]["n02096294"]) == ("Australian terrier", "Border terrier")
    assert {key for key in names[0] if names[0][key] != names[1][key]} == {"n02093754", "n02096294"}
    assert swapped.variant == "published-names"
    assert swapped.content_hash != plain.content_hash
    assert [e.synonyms for e in swapped.classes] == [e.synonyms for e in plain.classes]


def test_a_second_opening_reads_no_image_and_imports_nothing(data: Path, cache: Path) -> None:
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


def test_a_change_costs_the_reading_of_its_class_alone(
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


def test_what_is_remembered_is_small(data: Path, cache: Path) -> None:
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    opened("imagenette", data, cache)
    (record,) = cache.glob("groups-*")
    images = sum(1 for path in data.rglob("*") if path.is_file())
    assert record.stat().st_size < 250 * 20 + 44 * images, "a line per class and split, 32 bytes per image"


def test_captions_are_found_as_the_published_code_finds_them(data: Path, cache: Path) -> None:
    without = opened("imagenette", data, cache).manifest.content_hash
    one, two, three = opened("imagenette", data, cache).files("train")[:3]
    rows = {
        one.removeprefix("train/"): "in its folder",
        Path(two).name: "by its bare name",
        three.removeprefix("train/"): "",  # an empty one counts as none
        "n01440764/n01440764_777.JPEG": "of an image that is not in the set",
    }
    lines = [json.dumps({"file_name": name, "text": text}) for name, text in rows.items()]
    (data / "imagenette2/train/metadata.jsonl").write_text("\n".join(lines))
    dataset = opened("imagenette", data, cache)
    assert dataset.captions() == {
        one.removeprefix("train/"): "in its folder",
        two.removeprefix("train/"): "by its bare name",
    }
    assert dataset.manifest.content_hash != without


def test_captions_at_the_top_name_their_split(data: Path, cache: Path) -> None:
    row = {"file_name": f"train/{NETTE[0]}/{NETTE[0]}_0.JPEG", "text": "a fish"}
    (data / "imagenette2/metadata.jsonl").write_text(json.dumps(row))
    assert opened("imagenette", data, cache).captions() == {f"{NETTE[0]}/{NETTE[0]}_0.JPEG": "a fish"}


def test_odd_images_of_imagenet_are_read(data: Path, cache: Path) -> None:
    folder = data / "imagenette2/train" / NETTE[0]
    pixels = numpy.zeros((4, 6, 3), dtype=numpy.uint8)
    pixels[:, :3] = 255
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
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


@pytest.mark.parametrize("begins", [b"", b"no image", jpeg(0)[:60], b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_found_when_the_set_is_opened(begins: bytes, data: Path, cache: Path) -> None:
    path = data / "imagenette2/val" / NETTE[7] / "ILSVRC2012_val_00000099.JPEG"
    path.write_bytes(begins)
    with pytest.raises(UvlpError) as caught:
        opened("imagenette", data, cache)
    assert caught.value.what == f"cannot read the image {path}"
    path.write_bytes(jpeg(0))
    assert len(opened("imagenette", data, cache).files("val")) == 11


def test_what_pixels_are_missing_is_found_where_they_are_read(data: Path, cache: Path) -> None:
    path = data / "imagenette2/train" / NETTE[0] / f"{NETTE[0]}_0.JPEG"
    path.write_bytes(path.read_bytes()[:-60])
    dataset = opened("imagenette", data, cache)
    with pytest.raises(UvlpError) as caught:
        dataset.images("train", [0], 8)
    assert caught.value.what == f"cannot read the image {path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as state:
        yield state


def packed(server: FileServer, module: ModuleType, ids: list[str], tmp_path: Path) -> None:
    """Put a small archive of the set behind its URL."""
    folder = fill(tmp_path / "source", ids)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.add(folder, module.SET.archive.folder)
    server.files[module.SET.archive.name] = buffer.getvalue()


@pytest.mark.parametrize(("name", "ids"), [("imagenette", NETTE), ("imagewoof", WOOF)])
def test_fetch_then_open(
    name: str,
    ids: list[str],
    server: FileServer,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = plugins.load("datasets", name)
    packed(server, module, ids, tmp_path)
    spec = DatasetSpec(name=name, data=str(tmp_path / "data"))
    before = module.download(spec)
    assert before.urls == (f"https://s3.amazonaws.com/fast-ai-imageclas/{name}2.tgz",)
    assert before.bytes > 1.3e9 and before.disk_bytes > 2.6e9
    content = server.files[module.SET.archive.name]
    own = replace(
        module.SET.archive,
        url=f"{server.url}/{name}2.tgz",
        md5=hashlib.md5(content).hexdigest() if module.SET.archive.md5 else "",
    )
    monkeypatch.setattr(module, "SET", replace(module.SET, archive=own))
    server.breaks = [500]
    for _ in range(2):
        module.fetch(spec, Progress())
    assert server.requests == [None, "bytes=500-"]
    assert module.download(spec) is None
    assert opened(name, tmp_path / "data", cache).manifest.count("train") == 20


def test_a_folder_that_is_not_the_set_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "imagenette2").mkdir()
    module = plugins.load("datasets", "imagenette")
    with pytest.raises(UvlpError, match=r"without the dataset: got '.*imagenette2'; delete it first"):
        module.fetch(DatasetSpec(name="imagenette", data=str(tmp_path)), Progress())


def test_the_hash_of_imagenette_is_the_one_torchvision_knows() -> None:
    from torchvision.datasets import Imagenette

    archive = plugins.load("datasets", "imagenette").SET.archive
    assert Imagenette._ARCHIVES["full"] == (archive.url, archive.md5)
