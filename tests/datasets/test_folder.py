"""`folder:PATH`: manifests, caching, captions, class names, errors."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.datasets.conftest import MakeFolder
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import CLOCK_TICK_NS
from uvlp.core.progress import Event, Progress
from uvlp.datasets.folder import open_dataset

REPOSITORY = Path(__file__).parents[2]


def spec(root: Path | str) -> DatasetSpec:
    return DatasetSpec(name="folder", argument=str(root))


def captioned(root: Path, rows: dict[str, str], where: str = "train") -> Path:
    lines = [json.dumps({"file_name": name, "text": text}) + "\n" for name, text in rows.items()]
    (root / where / "metadata.jsonl").write_text("".join(lines))
    return root


def refusal(root: Path | str, cache: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        open_dataset(spec(root), cache)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_manifest_has_names_and_counts(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(tabby_cat=(3, 2), dog=(4, 1))
    manifest = open_dataset(spec(root), cache).manifest
    classes = [(info.id, info.name, info.index, info.train, info.val) for info in manifest.classes]
    assert classes == [("dog", "dog", 0, 4, 1), ("tabby_cat", "tabby cat", 1, 3, 2)]
    assert (manifest.name, manifest.argument, manifest.image_px, manifest.notes) == (
        "folder",
        str(root),
        12,
        (),
    )
    assert manifest.smallest_class() == ("tabby_cat", 3)


def test_files_labels_and_images_correspond(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(cat=(3, 2), dog=(2, 1))
    dataset = open_dataset(spec(root), cache)
    assert dataset.files("train") == (
        *(f"train/cat/{n}.png" for n in range(3)),
        "train/dog/0.png",
        "train/dog/1.png",
    )
    assert dataset.labels("train") == (0, 0, 0, 1, 1)
    assert dataset.labels("val") == (0, 0, 1)
    expected = numpy.asarray(Image.open(root / "train/dog/0.png"))
    numpy.testing.assert_array_equal(dataset.originals("train", [3])[0], expected)
    numpy.testing.assert_array_equal(dataset.images("train", range(5), 12)[3], expected)
    small = Image.open(root / "train/dog/0.png").resize((8, 8), Image.Resampling.BILINEAR)
    numpy.testing.assert_array_equal(dataset.images("train", [4, 3], 8)[1], numpy.asarray(small))


def test_rectangular_images_have_no_common_size(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(size_px=(9, 6), cat=(1, 1))
    assert open_dataset(spec(root), cache).manifest.image_px == 0
    assert open_dataset(spec(root), cache).originals("train", [0])[0].shape == (6, 9, 3)


def test_a_cached_folder_reads_and_imports_nothing(make_folder: MakeFolder, cache: Path) -> None:
    root = captioned(make_folder(cat=(3, 2), dog=(2, 1)), {"cat/0.png": "a cat"})
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    first = open_dataset(spec(root), cache).manifest
    code = (
        "import sys, pathlib, uvlp.core.hashing as hashing\n"
        "from uvlp.artifacts.dataset import DatasetSpec\n"
        "from uvlp.datasets.folder import open_dataset\n"
        "hashing.file_sha256 = None\n"
        "spec = DatasetSpec(name='folder', argument=sys.argv[1])\n"
        "print(open_dataset(spec, pathlib.Path(sys.argv[2])).manifest.content_hash)\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'sklearn') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(root), str(cache)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [first.content_hash, "[]"]


def test_a_moved_folder_has_the_same_hash(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(cat=(2, 1))
    before = open_dataset(spec(root), cache).manifest
    moved = open_dataset(spec(root.rename(root.with_name("moved"))), cache).manifest
    assert moved.content_hash == before.content_hash
    assert moved.argument != before.argument


def _add_image(root: Path) -> None:
    (root / "train/cat/9.png").write_bytes((root / "train/cat/0.png").read_bytes())


def _change_image(root: Path) -> None:
    (root / "val/cat/0.png").write_bytes((root / "train/cat/0.png").read_bytes())


def _rename_image(root: Path) -> None:
    (root / "train/cat/0.png").rename(root / "train/cat/00.png")


def _change_captions(root: Path) -> None:
    captioned(root, {"cat/0.png": "a dog"})


def _name_classes(root: Path) -> None:
    (root / "classes.tsv").write_text("cat\ttabby\n")


@pytest.mark.parametrize(
    "change", [_add_image, _change_image, _rename_image, _change_captions, _name_classes]
)
def test_every_change_changes_the_hash(change, make_folder: MakeFolder, cache: Path) -> None:
    root = captioned(make_folder(cat=(2, 1)), {"cat/1.png": "a cat"})
    before = open_dataset(spec(root), cache).manifest.content_hash
    change(root)
    assert open_dataset(spec(root), cache).manifest.content_hash != before


def test_unused_files_are_noted_but_not_hashed(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(cat=(2, 1))
    before = open_dataset(spec(root), cache).manifest
    (root / "train/cat/readme.txt").write_text("remark")
    (root / "README.md").write_text("remark")
    after = open_dataset(spec(root), cache).manifest
    assert after.content_hash == before.content_hash
    assert after.notes == ("1 files without an image extension are not used",)


def test_hashing_and_decoding_report_progress(make_folder: MakeFolder, cache: Path) -> None:
    events: list[Event] = []
    open_dataset(spec(make_folder(cat=(2, 1))), cache, Progress(events.append))
    assert {(event.label, event.done, event.total) for event in events} >= {
        ("hash files", 3, 3),
        ("check images", 3, 3),
    }


def test_an_unwritable_cache_is_no_error(make_folder: MakeFolder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = make_folder(cat=(2, 1))
    assert open_dataset(spec(root), tmp_path / "file" / "cache").manifest.count("train") == 2


@pytest.mark.parametrize(("where", "prefix"), [("train", ""), (".", "train/")])
def test_captions_are_read_from_train_or_the_top_folder(
    where: str, prefix: str, make_folder: MakeFolder, cache: Path
) -> None:
    root = captioned(make_folder(cat=(2, 1), dog=(1, 1)), {f"{prefix}cat/0.png": "a", "1.png": "b"}, where)
    assert open_dataset(spec(root), cache).captions() == {"cat/0.png": "a", "cat/1.png": "b"}


def test_captions_of_validation_images_are_ignored(make_folder: MakeFolder, cache: Path) -> None:
    root = captioned(make_folder(cat=(1, 1)), {"val/cat/0.png": "v", "train/cat/0.png": "t"}, ".")
    assert open_dataset(spec(root), cache).captions() == {"cat/0.png": "t"}


def test_a_folder_without_caption_files_has_no_captions(make_folder: MakeFolder, cache: Path) -> None:
    assert open_dataset(spec(make_folder(cat=(1, 1))), cache).captions() is None


def test_overridden_captions_are_counted_in_every_call(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(cat=(1, 1))
    row = '{"file_name": "cat/0.png", "text": "%s"}\n'
    (root / "train/metadata.jsonl").write_text(row % "one" + row % "two" + row % "three")
    for _ in range(2):
        dataset = open_dataset(spec(root), cache)
        assert dataset.captions() == {"cat/0.png": "three"}
        assert dataset.manifest.notes == (
            "train/metadata.jsonl: 2 rows are overridden by a later row for the same image",
        )


def caption_refusal(root: Path, cache: Path) -> UvlpError:
    dataset = open_dataset(spec(root), cache)  # opens, because imported captions may replace invalid ones
    with pytest.raises(UvlpError) as caught:
        dataset.captions()
    return caught.value


def test_two_caption_files_must_agree(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(cat=(1, 1))
    captioned(captioned(root, {"cat/0.png": "a"}), {"train/cat/0.png": "a "}, ".")
    assert open_dataset(spec(root), cache).captions() == {"cat/0.png": "a "}
    captioned(root, {"cat/0.png": "b"})
    got = str(caption_refusal(root, cache).got)
    assert got == "train/cat/0.png: metadata.jsonl and train/metadata.jsonl"


def test_a_malformed_caption_row_is_refused(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(cat=(1, 1))
    (root / "train/metadata.jsonl").write_text(
        '{"file_name": "cat/0.png", "text": "a"}\n{"file_name": "cat/0.png"}\n'
    )
    error = caption_refusal(root, cache)
    assert "train/metadata.jsonl, line 2" in error.what and error.got == "file_name"


def test_a_caption_without_an_image_is_refused(make_folder: MakeFolder, cache: Path) -> None:
    root = captioned(make_folder(cat=(1, 1)), {"cat/7.png": "gone", "train/cat/0.png": "wrong root"})
    assert caption_refusal(root, cache).got == "cat/7.png, train/cat/0.png"


def test_class_names_are_read_from_classes_tsv(make_folder: MakeFolder, cache: Path) -> None:
    root = make_folder(n02=(1, 1), n01=(1, 1))
    (root / "classes.tsv").write_text("n02\tcät\r\nn01\tbig dog \n", encoding="utf-8")
    manifest = open_dataset(spec(root), cache).manifest
    assert [(info.id, info.name) for info in manifest.classes] == [("n01", "big dog"), ("n02", "cät")]


@pytest.mark.parametrize(
    ("content", "where", "got"),
    [
        (b"cat\ttabby\nemu\tbird\n", "line 2", "emu"),
        (b"cat\ttabby\ncat\tlion\n", "line 2", "cat"),
        (b"cat tabby\n", "line 1", "cat tabby"),
        (b"cat\t \n", "line 1", "cat\t "),
        (b"cat\ttabby\n", "classes.tsv", "no line for dog"),
        (b"cat\t\xff\n", "classes.tsv", "can't decode"),
    ],
)
def test_invalid_class_names_are_refused(
    content: bytes, where: str, got: str, make_folder: MakeFolder, cache: Path
) -> None:
    root = make_folder(cat=(1, 1), dog=(1, 1))
    (root / "classes.tsv").write_bytes(content)
    error = refusal(root, cache)
    assert str(root / "classes.tsv") in error.what and where in error.what and got in str(error.got)


@pytest.mark.parametrize("content", [b"no image", b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_a_damaged_image_is_refused_on_every_opening(
    content: bytes, make_folder: MakeFolder, cache: Path
) -> None:
    root = make_folder(cat=(3, 2))
    (root / "val/cat/1.png").write_bytes(content)
    for _ in range(2):  # the failure must not be cached as checked
        assert "val/cat/1.png" in refusal(root, cache).what


def test_a_missing_path_is_refused(cache: Path) -> None:
    assert refusal("", cache).fix == "use folder:PATH"


def test_a_path_that_does_not_exist_is_refused(cache: Path) -> None:
    assert refusal("/no/such/path", cache).got == "/no/such/path"


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Drop root, which ignores permissions, to the user nobody."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("closed", ["train", "train/cat", "train/cat/0.png"])
def test_a_path_without_permission_is_refused(closed: str, public: Path) -> None:
    for split in ("train", "val"):
        (public / split / "cat").mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(public / split / "cat" / "0.png")
    mode = (public / closed).stat().st_mode
    (public / closed).chmod(0)
    with ordinary_user():
        error = refusal(public, public / "cache")
    (public / closed).chmod(mode)
    assert str(public / closed) in error.what and error.got == "Permission denied"
