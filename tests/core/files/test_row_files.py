"""Arrays written shard by shard: complete in the end, resumed after interruption, refused on a full disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.flipping import flip
from uvlp.core.errors import UvlpError
from uvlp.core.files.row_files import JOURNAL, Column, RowFiles

COUNT, SHARD, BATCH = 11, 4, 2
MESSAGES: list[str] = []


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "one": generator.normal(size=(COUNT, 3)).astype(np.float32),
        "two": generator.normal(size=(COUNT, 4, 2, 2)).astype(np.float16),
    }


def opened(folder: Path, arrays: dict[str, np.ndarray], **changes: Any) -> RowFiles:
    columns = {name: Column.of(array) for name, array in arrays.items()}
    arguments: dict[str, Any] = {
        "columns": columns,
        "count": COUNT,
        "shard": SHARD,
        "made_by": "cpu",
        "log": MESSAGES.append,
    }
    arguments |= changes
    return RowFiles(folder, **arguments)


def fill(rows: RowFiles, arrays: dict[str, np.ndarray], batches: int | None = None) -> None:
    for part in rows.missing(BATCH)[:batches]:
        rows.write(part, {name: array[part.start : part.stop] for name, array in arrays.items()})


def test_files_equal_those_of_numpy(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "out").mkdir()
    rows = opened(tmp_path / "made", arrays)
    fill(rows, arrays)
    rows.link(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.npy", "two.npy"]
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        assert (tmp_path / "out" / f"{name}.npy").read_bytes() == (tmp_path / f"{name}.npy").read_bytes()


def test_batches_never_cross_a_shard(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    batches = opened(tmp_path, arrays, shard=6).missing(3)
    assert batches == [range(3), range(3, 6), range(6, 9), range(9, 11)]


def test_only_complete_shards_survive_an_interruption(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    fill(opened(tmp_path, arrays), arrays, batches=3)  # the second shard is half done
    again = opened(tmp_path, arrays)
    assert again.finished_rows == SHARD
    assert again.missing(BATCH)[0] == range(4, 6)
    fill(again, arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), array)


@pytest.mark.parametrize("changes", [{"made_by": "another GPU"}, {"count": COUNT + 1}, {"shard": 2 * SHARD}])
def test_rows_with_another_layout_or_origin_are_discarded(
    tmp_path: Path, arrays: dict[str, np.ndarray], changes: dict[str, Any]
) -> None:
    fill(opened(tmp_path, arrays), arrays)
    assert opened(tmp_path, arrays, **changes).finished_rows == 0


@pytest.mark.parametrize("damage", ["journal", "file"])
def test_damaged_partial_folder_is_restarted(
    tmp_path: Path, arrays: dict[str, np.ndarray], damage: str
) -> None:
    fill(opened(tmp_path, arrays), arrays)
    if damage == "journal":
        (tmp_path / JOURNAL).write_text('{"layout": ')
    else:
        (tmp_path / "one.npy").write_bytes(b"short")
    MESSAGES.clear()
    again = opened(tmp_path, arrays)
    assert again.finished_rows == 0 and len(MESSAGES) == 1
    fill(again, arrays)
    np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), arrays["one"])


@pytest.mark.parametrize("name", ["one.npy", "two.npy", JOURNAL])
@pytest.mark.parametrize("share", [0, 0.6, 0.8, 1])
def test_shard_with_a_flipped_bit_is_recomputed(
    tmp_path: Path, arrays: dict[str, np.ndarray], name: str, share: float
) -> None:
    fill(opened(tmp_path, arrays), arrays)
    complete = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    flip(tmp_path / name, share)
    MESSAGES.clear()
    again = opened(tmp_path, arrays)
    at_least = 0 if share == 0 or name == JOURNAL else COUNT - SHARD
    assert at_least <= again.finished_rows < COUNT and len(MESSAGES) == 1
    fill(again, arrays)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == complete


def test_journal_of_another_artifact_is_not_used(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    (tmp_path / "one").mkdir()
    fill(opened(tmp_path / "one", arrays), arrays)
    (tmp_path / "one").rename(tmp_path / "other")
    assert opened(tmp_path / "other", arrays).finished_rows == 0


def test_journal_without_hashes_is_not_used(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Earlier versions wrote such journals."""
    fill(opened(tmp_path, arrays), arrays)
    layout = opened(tmp_path, arrays)._layout
    (tmp_path / JOURNAL).write_text(json.dumps({"layout": layout, "finished": [0, 1, 2]}), encoding="utf-8")
    MESSAGES.clear()
    assert opened(tmp_path, arrays).finished_rows == 0 and len(MESSAGES) == 1


def test_too_small_disk_is_reported_before_the_work(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path, arrays, count=900_000)
    assert str(caught.value.got).endswith(f"free in {tmp_path}") and "--store" in str(caught.value.fix)
    needed, unit, _ = str(caught.value.allowed).split(" ", 2)
    assert unit == "MB" and float(needed) == pytest.approx(39.6, abs=1)
    assert not list(tmp_path.glob("*.npy"))


def test_disk_that_fills_up_loses_one_shard(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, write, calls = opened(tmp_path, arrays), os.pwrite, []

    def full(descriptor: int, content: Any, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            fill(rows, arrays)
    assert opened(tmp_path, arrays).finished_rows == SHARD


def test_short_writes_are_continued(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, offset: write(file, content[:5], offset))
    fill(opened(tmp_path, arrays), arrays)
    np.testing.assert_array_equal(np.load(tmp_path / "two.npy"), arrays["two"])


def test_files_are_moved_without_hard_links(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "out").mkdir()
    rows = opened(tmp_path, arrays)
    fill(rows, arrays)
    rows.link(tmp_path / "out")
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "one.npy"), arrays["one"])
