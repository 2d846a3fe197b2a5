"""imagenette, imagewoof, imageidc, imagenet100, imagenet1k: layouts, variants, counts, errors."""

import io
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.datasets.published import fill, jpeg, opened, refusal
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.datasets.files.class_lists import wordnet_classes

NETTE = [entry.id for entry in wordnet_classes("imagenette")]

WOOF = [entry.id for entry in wordnet_classes("imagewoof")]

ILSVRC_SETS = ("imageidc", "imagenet100", "imagenet1k")


def test_imagenette_from_fast_ai(data: Path, cache: Path) -> None:
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


def test_data_may_be_the_dataset_folder_and_its_path_is_not_hashed(data: Path, cache: Path) -> None:
    above, itself = (opened("imagenette", root, cache).manifest for root in (data, data / "imagenette2"))
    assert above == itself
    moved = (data / "imagenette2").rename(data / "elsewhere")
    assert opened("imagenette", moved, cache).manifest.content_hash == above.content_hash


def test_expected_counts_give_no_note(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_unexpected_counts_are_noted(
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


@pytest.mark.parametrize("inner", ["", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"])
def test_only_the_classes_of_the_dataset_are_read_from_ilsvrc(
    inner: str, tmp_path: Path, cache: Path
) -> None:
    fill(tmp_path / "big" / inner, [*NETTE, *WOOF, "n99999999"])
    nette = opened("imagenette", tmp_path / "big", cache, "ilsvrc")
    assert [entry.id for entry in nette.manifest.classes] == NETTE
    assert len(nette.files("train")) == 20
    woof = opened("imagewoof", tmp_path / "big", cache, "ilsvrc").manifest
    assert [entry.id for entry in woof.classes] == sorted(WOOF)


def test_variants_of_the_same_images_have_different_manifests(data: Path, cache: Path) -> None:
    manifests = [
        opened("imagenette", data / "imagenette2", cache, variant).manifest
        for variant in ("fastai", "ilsvrc")
    ]
    assert [manifest.variant for manifest in manifests] == ["fastai", "ilsvrc"]
    assert manifests[0].source != manifests[1].source


def test_imageidc_classes_are_in_alphabetical_order(tmp_path: Path, cache: Path) -> None:
    ids = [entry.id for entry in wordnet_classes("imageidc")]
    classes = opened("imageidc", fill(tmp_path, reversed(ids)), cache).manifest.classes
    assert [(entry.index, entry.id, entry.name) for entry in classes][:2] == [
        (0, "n01749939", "green mamba"),
        (1, "n01773797", "garden spider"),
    ]


def test_imagenet1k_refuses_folders_of_other_classes(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "set", [entry.id for entry in wordnet_classes("imagenet1k")], (1, 1), lambda _: b"x")
    (tmp_path / "set/train/n00000001").mkdir()
    assert refusal("imagenet1k", tmp_path / "set", cache).got == "n00000001"


def test_a_missing_class_is_refused(data: Path, cache: Path) -> None:
    (data / "imagenette2/val" / NETTE[3]).rename(data / "gone")
    error = refusal("imagenette", data, cache)
    assert "/val " in error.what and NETTE[3] in str(error.got)


def test_an_unexpected_class_is_refused_and_the_other_variant_suggested(data: Path, cache: Path) -> None:
    fill(data / "imagenette2", ["n09999999"])
    error = refusal("imagenette", data, cache)
    assert "imagenette (fastai)" in error.what and error.got == "n09999999" and "--variant" in str(error.fix)


def test_a_class_without_images_is_refused(data: Path, cache: Path) -> None:
    for path in (data / "imagenette2/train" / NETTE[0]).iterdir():
        path.unlink()
    assert f"{data}/imagenette2/train/{NETTE[0]}" in refusal("imagenette", data, cache).what


def test_an_unsorted_val_folder_suggests_how_to_sort_it(tmp_path: Path, cache: Path) -> None:
    fill(tmp_path / "set", NETTE, (1, 0))
    for folder in (tmp_path / "set/val").iterdir():
        folder.rmdir()
    for number in range(3):
        (tmp_path / f"set/val/ILSVRC2012_val_{number:08d}.JPEG").write_bytes(jpeg(number))
    error = refusal("imagenette", tmp_path / "set", cache, "ilsvrc")
    assert str(error.got).startswith("ILSVRC2012_val_00000000.JPEG,") and "valprep.sh" in str(error.fix)


@pytest.mark.parametrize("name", ["imagenette", "imagewoof"])
def test_a_missing_dataset_suggests_the_download(name: str, tmp_path: Path, cache: Path) -> None:
    error = refusal(name, tmp_path, cache)
    assert f"{tmp_path}/{name}2" in str(error.got)
    assert f"`uvlp fetch {name}`" in str(error.fix) and "--data" in str(error.fix)


@pytest.mark.parametrize("name", ["imagenette", "imagewoof", *ILSVRC_SETS])
def test_arguments_and_unknown_variants_are_refused(name: str, tmp_path: Path, cache: Path) -> None:
    module = plugins.load("datasets", name)
    with pytest.raises(UvlpError) as caught:
        module.open_dataset(DatasetSpec(name=name, argument="x", data=str(tmp_path)), cache)
    assert caught.value.got == "x" and "colon" in caught.value.what
    assert refusal(name, tmp_path, cache, "320px").got == "320px"


def test_the_published_terrier_names_are_a_variant_with_its_own_hash(tmp_path: Path, cache: Path) -> None:
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
