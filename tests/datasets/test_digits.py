"""`digits`: pinned split, pixels and hash; a cached manifest imports nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from uvlp.artifacts.dataset import Dataset, DatasetManifest, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import digest
from uvlp.core.progress import Progress
from uvlp.datasets.digits import NAMES, VAL_IMAGES, open_dataset
from uvlp.pipeline.datasets import open_dataset as by_name

PINNED = "2df232a3ebf2f7c8dd02e617ce594889175d453174e2dcca8cecb53682588123"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(DatasetSpec(name="digits"), tmp_path_factory.mktemp("cache"))


def test_the_manifest_is_pinned(digits: Dataset) -> None:
    manifest = digits.manifest
    assert (manifest.count("train"), manifest.count("val"), manifest.image_px) == (1307, 490, 32)
    assert [info.id for info in manifest.classes] == list("0123456789")
    assert tuple(info.name for info in manifest.classes) == NAMES
    assert manifest.smallest_class() == ("8", 127)
    assert manifest.content_hash == "eae7885adc5df1ce941a0514b80f34f622897f64d23920f1d251729edcaeefbf"


def test_the_split_is_pinned(digits: Dataset) -> None:
    assert digest([digits.files("train"), digits.files("val")]) == PINNED


def test_the_split_is_scikit_learns(digits: Dataset) -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    labels = load_digits().target
    _, rows = train_test_split(range(len(labels)), test_size=VAL_IMAGES, stratify=labels, random_state=0)
    assert sorted(int(Path(name).stem) for name in digits.files("val")) == sorted(rows)


def test_files_are_sorted_by_label_then_row(digits: Dataset) -> None:
    for split in ("train", "val"):
        files, labels = digits.files(split), digits.labels(split)
        assert list(files) == sorted(files)
        assert [int(name.split("/")[1]) for name in files] == list(labels)
    assert len({name.split("/")[2] for split in ("train", "val") for name in digits.files(split)}) == 1797


def test_pixels_are_scikit_learns_scaled_and_enlarged(digits: Dataset) -> None:
    from sklearn.datasets import load_digits

    name = digits.files("train")[500]
    small = load_digits().images[int(name.split("/")[2].removesuffix(".png"))]
    image = digits.originals("train", [500])[0]
    assert image.shape == (32, 32, 3)
    assert image.dtype == numpy.uint8
    assert (image[:, :, 0] == image[:, :, 2]).all()
    # Corners of a bilinear enlargement are the corner pixels themselves.
    corners = small[numpy.ix_([0, -1], [0, -1])] * 255 / 16
    numpy.testing.assert_allclose(image[numpy.ix_([0, -1], [0, -1])][:, :, 0], corners, atol=0.5)
    blocks = image[:, :, 0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
    assert numpy.corrcoef(blocks.ravel(), small.ravel())[0, 1] > 0.95


def test_images_have_the_requested_size(digits: Dataset) -> None:
    originals = numpy.stack(digits.originals("val", [3, 1]))
    numpy.testing.assert_array_equal(digits.images("val", [3, 1], 32), originals)
    small = digits.images("val", [3, 1], 16)
    assert small.shape == (2, 16, 16, 3)
    assert abs(small.mean() - originals.mean()) < 2
    assert digits.images("val", [], 16).shape == (0, 16, 16, 3)


def test_digits_have_no_captions(digits: Dataset) -> None:
    assert digits.captions() is None


def test_an_argument_after_the_colon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as refused:
        by_name(DatasetSpec.parse("digits:small"), tmp_path, Progress())
    assert refused.value.got == "small" and "colon" in refused.value.what


def test_a_cached_manifest_imports_nothing(tmp_path: Path) -> None:
    first = open_dataset(DatasetSpec(name="digits"), tmp_path).manifest
    code = (
        "import dataclasses, sys, pathlib\nfrom uvlp.datasets.digits import open_dataset\n"
        "from uvlp.artifacts.dataset import DatasetSpec\n"
        "dataset = open_dataset(DatasetSpec(name='digits'), pathlib.Path(sys.argv[1]))\n"
        "import json; print(json.dumps(dataclasses.asdict(dataset.manifest)))\n"
        "print({'torch', 'numpy', 'PIL', 'sklearn'} & set(sys.modules), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert DatasetManifest.from_values(json.loads(ran.stdout)) == first
    assert ran.stderr.strip() == "set()"


def test_the_first_manifest_does_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom uvlp.datasets.digits import open_dataset\n"
        "from uvlp.artifacts.dataset import DatasetSpec\n"
        "open_dataset(DatasetSpec(name='digits'), pathlib.Path(sys.argv[1]))\nprint('torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
