"""Manifests of datasets: JSON, counts and caching."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, recall, remember

MANIFEST = DatasetManifest(
    name="folder",
    argument="/data/pets",
    variant="",
    classes=(
        ClassInfo(id="cat", name="cat", index=0, train=7, val=2),
        ClassInfo(id="dog_a", name="dög a", index=1, train=5, val=4),
        ClassInfo(id="emu", name="emu", index=2, train=5, val=1),
    ),
    content_hash="ab" * 32,
    image_px=0,
    source="made up",
    notes=("one remark",),
)


def test_manifest_survives_json() -> None:
    assert DatasetManifest.from_values(json.loads(json.dumps(asdict(MANIFEST)))) == MANIFEST


def test_smallest_class_is_the_first_with_fewest_training_images() -> None:
    assert MANIFEST.smallest_class() == ("dog_a", 5)


def test_images_are_counted_per_split() -> None:
    assert (MANIFEST.count("train"), MANIFEST.count("val")) == (17, 7)


def test_cached_manifest_is_read(tmp_path: Path) -> None:
    remember(tmp_path / "cache" / "m.json", MANIFEST)
    assert recall(tmp_path / "cache" / "m.json", MANIFEST.content_hash) == MANIFEST


def test_cached_manifest_of_other_content_is_ignored(tmp_path: Path) -> None:
    remember(tmp_path / "m.json", replace(MANIFEST, content_hash="cd" * 32))
    assert recall(tmp_path / "m.json", MANIFEST.content_hash) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"classes": [], "notes": [], "more": 1}', b"\xff"])
def test_damaged_cached_manifest_is_ignored(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(damage)
    assert recall(tmp_path / "m.json", MANIFEST.content_hash) is None


def test_cached_manifest_with_a_changed_byte_is_ignored(tmp_path: Path) -> None:
    remember(tmp_path / "m.json", MANIFEST)
    content = (tmp_path / "m.json").read_bytes()
    for index in range(0, len(content), 9):
        flipped = bytearray(content)
        flipped[index] ^= 1
        (tmp_path / "m.json").write_bytes(flipped)
        assert recall(tmp_path / "m.json", MANIFEST.content_hash) is None, index


def test_unwritable_cache_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    remember(tmp_path / "file" / "m.json", MANIFEST)
    assert recall(tmp_path / "file" / "m.json", MANIFEST.content_hash) is None
