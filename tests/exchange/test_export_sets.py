"""Distilled sets are found by name and key; what cannot be exported is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchange.sets import put_score, put_set
from tests.stored_tables import put_table
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError
from uvlp.exchange.export_sets import distilled_sets, find


def refused(wanted: str, store: Store) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        find(wanted, store)
    return caught.value


def test_a_set_has_several_names(tmp_path: Path) -> None:
    store, task = put_set(tmp_path)
    put_set(tmp_path, "random")
    short = task.key[:8]
    for name in ("uvlp-seed-0", "uvlp", f"uvlp-seed-0@{short}", task.key, short, f"distilled/{task.key}"):
        assert find(name, store).key == task.key, name
    (listed, _) = sorted(distilled_sets(store), key=lambda each: each.name != "uvlp-seed-0")
    assert (listed.full_name, listed.about) == (f"uvlp-seed-0@{short}", "folder, 2 images per class")


def test_a_name_of_several_sets_is_ambiguous(tmp_path: Path) -> None:
    store, one = put_set(tmp_path)
    _, other = put_set(tmp_path, ipc=3)
    error = refused("uvlp-seed-0", store)
    assert error.allowed and f"@{one.key[:8]} (folder, 2 images" in error.allowed
    assert find(f"uvlp-seed-0@{other.key[:8]}", store).ipc == 3


def test_the_nearest_name_is_suggested(tmp_path: Path) -> None:
    store, _ = put_set(tmp_path)
    error = refused("uvpl-seed-0", store)
    assert error.got == "uvpl-seed-0" and "'uvlp-seed-0'" in str(error.fix)


def test_another_kind_is_named(tmp_path: Path) -> None:
    store, images = put_set(tmp_path)
    score = put_score(store, images, 1)
    assert score in refused(score, store).what
    assert score in refused(score.partition("/")[2][:6], store).what
    put_table(tmp_path)
    assert "table" in refused("digits-ipc10", store).what


def test_a_store_with_nothing_finished_is_refused(tmp_path: Path) -> None:
    error = refused("uvlp", Store(tmp_path))
    assert error.got == str(tmp_path) and "uvlp reproduce" in str(error.fix)


def test_damaged_images_are_refused(tmp_path: Path) -> None:
    store, task = put_set(tmp_path)
    image = store.folder(task) / "train" / "bee" / "00001.png"
    image.write_bytes(image.read_bytes() + b"x")
    error = refused("uvlp-seed-0", Store(tmp_path))
    assert "bee/00001.png" in error.what and "--force" in str(error.fix)


def test_the_full_set_is_refused(tmp_path: Path) -> None:
    store, _ = put_set(tmp_path)
    task = Task(
        kind="distilled", stage="synthesise", plugin="full", title="full images, seed 0", dataset="c" * 64
    )
    with store.making(task, print) as folder:
        assert folder is not None
        (folder / "train").mkdir()
        (folder / "train" / "metadata.jsonl").write_text("{}\n", encoding="utf-8")
        (folder / "contact_sheet.png").write_bytes(b"")
        store.commit(task, folder, {})
    assert refused("full", store).got == f"full-seed-0@{task.key[:8]}"


def test_images_of_an_unrecorded_dataset_are_refused(tmp_path: Path) -> None:
    store, task = put_set(tmp_path)
    for path in store.cache.iterdir():
        path.unlink()
    assert task.name in refused("uvlp", store).what
