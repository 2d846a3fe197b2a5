"""Names of folders in tables are short and unique."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from uvlp.artifacts import distilled
from uvlp.pipeline.folders.titles import LONGEST, titles


def of(*folders: str, taken: tuple[str, ...] = ()) -> list[str]:
    return titles([Path(folder) for folder in folders], taken)


def test_last_part_is_used_if_unique() -> None:
    assert of("/a/minimax", "/a/ours") == ["minimax", "ours"]


def test_equal_names_are_extended_until_unique() -> None:
    assert of("/a/x/out", "/b/x/out", "/a/y") == ["a/x/out", "b/x/out", "y"]
    assert of("/out", "/b/out") == ["/out", "b/out"]


def test_names_of_methods_are_not_used() -> None:
    assert of("/a/random", taken=("Random",)) == ["a/random"]
    assert of("/random", taken=("Random",)) == ["/random"]


def test_generic_names_are_extended() -> None:
    assert of("/a/minimax/train") == ["minimax/train"]
    assert of("/") == ["/"]


def test_long_names_are_cut_and_stay_unique() -> None:
    (short,) = of("/a/" + 50 * "x" + 50 * "y")
    assert len(short) == LONGEST and short.startswith("xxx") and short.endswith("yyy") and "…" in short
    assert len(set(of("/a/" + 60 * "x" + "1" + 60 * "x", "/a/" + 60 * "x" + "2" + 60 * "x"))) == 2


def stored(store: Path, key: str, title: str, other: Mapping[str, object] | None = None) -> str:
    """A folder of distilled images in a store, with the manifest that titles need."""
    folder = store / distilled.KIND / key / "train"
    folder.mkdir(parents=True)
    content = {"kind": distilled.KIND, "key": key, "title": title, "files": {}, **(other or {})}
    (folder.parent / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return str(folder)


def test_images_of_a_store_are_titled_by_method_and_seed(tmp_path: Path) -> None:
    one = stored(tmp_path / "a", "0123456789abcdef", "uvlp:no-outliers images, seed 3")
    other = stored(tmp_path / "b", "fedcba9876543210", "uvlp:no-outliers images, seed 3")
    assert of(one) == of(str(Path(one).parent)) == ["uvlp:no-outliers-seed-3"]
    assert of(one, other) == ["uvlp:no-outliers-seed-3-01234567", "uvlp:no-outliers-seed-3-fedcba98"]


def test_other_images_of_a_store_are_titled_by_their_key(tmp_path: Path) -> None:
    assert of(stored(tmp_path, "0123456789abcdef", "images of mine")) == ["01234567"]


@pytest.mark.parametrize("other", [{"kind": "scores"}, {"key": "another"}, {"files": 1}])
def test_a_manifest_of_another_form_titles_nothing(tmp_path: Path, other: dict[str, object]) -> None:
    folder = stored(tmp_path, "0123456789abcdef", "uvlp images, seed 3", other)
    assert of(folder) == ["0123456789abcdef/train"]
